"""One workload while a gate goes on: its pairs so far and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from statistics import median

from perfsuite.gate.turns import Seen, Turn
from perfsuite.judge.moved import StageSeconds
from perfsuite.judge.pairs import Decision, Rule, decide, log_ratio, standard_error


@dataclass(slots=True)
class Followed:
    """One workload while the gate goes on."""

    name: str
    node: str
    log_ratios: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)  # of these, as the turns of each pair tell it
    seconds: list[tuple[float, float]] = field(default_factory=list)
    stages: list[tuple[StageSeconds, StageSeconds]] = field(default_factory=list)
    turns: list[dict[str, list[float]]] = field(default_factory=list)
    took: float = inf  # seconds of the gate's time in the latest pair that saw it
    held_back: int = 0  # turns in which the GPU was throttled although they were taken again
    decision: Decision | None = None

    def add(self, seen: Seen, first_side: str) -> None:
        sides = {first_side: seen.first, "base" if first_side == "head" else "head": seen.second}
        base, head = ([turn.median for turn in sides[side]] for side in ("base", "head"))
        self.log_ratios.append(log_ratio(base, head))
        self.took = seen.took
        self.errors.append(standard_error(base, head))
        self.held_back += sum(bool(turn.gpu and turn.gpu.throttled) for turn in (*seen.first, *seen.second))
        self.seconds.append((median(base), median(head)))
        self.turns.append({"base": base, "head": head})
        self.stages.append((_stage_medians(sides["base"]), _stage_medians(sides["head"])))

    @property
    def error(self) -> float:
        """Of one pair's number, as the turns tell it."""
        return median(self.errors) if self.errors else 0.0

    def decide(self, rule: Rule, tolerance: float, spent: bool = False) -> Decision:
        """Judge the pairs so far."""
        return decide(rule, self.log_ratios, tolerance, spent, self.error)


def _stage_medians(turns: Sequence[Turn]) -> StageSeconds:
    told = [turn.seconds_by_stage for turn in turns]
    return {name: median(one.get(name, 0.0) for one in told) for name in {n for one in told for n in one}}
