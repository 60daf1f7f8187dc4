"""Attribute a change of time to a stage, by the stage times of the turns that showed the change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

StageSeconds = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class StageChange:
    """Seconds per call of one stage on both sides, medians over the pairs, and the paired change."""

    stage: str
    base_seconds: float
    head_seconds: float
    change_seconds: float


def stage_changes(pairs: Sequence[tuple[StageSeconds, StageSeconds]]) -> tuple[StageChange, ...]:
    """The changes of all stages, the largest first.

    >>> stage_changes([({"read": 1.0, "decode": 2.0}, {"read": 1.0, "decode": 2.5})])[0].stage
    'decode'
    """
    names = sorted({name for sides in pairs for side in sides for name in side})
    changes = [_stage_change(name, pairs) for name in names]
    return tuple(sorted(changes, key=lambda change: -abs(change.change_seconds)))


def _stage_change(name: str, pairs: Sequence[tuple[StageSeconds, StageSeconds]]) -> StageChange:
    base = [seconds.get(name, 0.0) for seconds, _ in pairs]
    head = [seconds.get(name, 0.0) for _, seconds in pairs]
    return StageChange(
        stage=name,
        base_seconds=median(base),
        head_seconds=median(head),
        change_seconds=median(h - b for b, h in zip(base, head, strict=True)),
    )


def attribute_change(changes: Sequence[StageChange], slower: bool) -> str | None:
    """The stage with the largest change in this direction; None if no stage changed in it.

    >>> attribute_change(stage_changes([({"read": 1.0}, {"read": 0.5})]), slower=True) is None
    True
    """
    signed = [(c.change_seconds if slower else -c.change_seconds, c.stage) for c in changes]
    most, stage = max(signed, default=(0.0, ""))
    return stage if most > 0 else None
