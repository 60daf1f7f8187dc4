"""One workload while a gate goes on: its pairs so far and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from statistics import median

from perfsuite.gate.turns import Turn, WorkloadTurns
from perfsuite.judge.sequential_rule import (
    Decision,
    SequentialRule,
    decide,
    pair_log_ratio,
    pair_standard_error,
)
from perfsuite.judge.stage_attribution import StageSeconds


@dataclass(slots=True)
class WorkloadState:
    """One workload while the gate goes on."""

    name: str
    node: str
    log_ratios: list[float] = field(default_factory=list)
    standard_errors: list[float] = field(default_factory=list)  # of these, as the turns of each pair tell it
    median_seconds: list[tuple[float, float]] = field(default_factory=list)
    stage_seconds: list[tuple[StageSeconds, StageSeconds]] = field(default_factory=list)
    turn_medians: list[dict[str, list[float]]] = field(default_factory=list)
    gate_seconds: float = inf  # seconds of the gate's time in the latest pair that saw it
    throttled_turns: int = 0  # turns in which the GPU was throttled although they were taken again
    decision: Decision | None = None

    def add_pair(self, seen: WorkloadTurns, first_side: str) -> None:
        sides = {first_side: seen.first_turns, "base" if first_side == "head" else "head": seen.second_turns}
        base, head = ([turn.median for turn in sides[side]] for side in ("base", "head"))
        self.log_ratios.append(pair_log_ratio(base, head))
        self.gate_seconds = seen.gate_seconds
        self.standard_errors.append(pair_standard_error(base, head))
        self.throttled_turns += sum(
            bool(turn.gpu and turn.gpu.throttled) for turn in (*seen.first_turns, *seen.second_turns)
        )
        self.median_seconds.append((median(base), median(head)))
        self.turn_medians.append({"base": base, "head": head})
        self.stage_seconds.append((_stage_medians(sides["base"]), _stage_medians(sides["head"])))

    @property
    def error(self) -> float:
        """Of one pair's number, as the turns tell it."""
        return median(self.standard_errors) if self.standard_errors else 0.0

    def decide(self, rule: SequentialRule, tolerance: float, spent: bool = False) -> Decision:
        """Judge the pairs so far."""
        return decide(rule, self.log_ratios, tolerance, spent, self.error)


def _stage_medians(turns: Sequence[Turn]) -> StageSeconds:
    told = [turn.seconds_by_stage for turn in turns]
    return {name: median(one.get(name, 0.0) for one in told) for name in {n for one in told for n in one}}
