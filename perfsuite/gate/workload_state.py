"""The evidence on one workload while a gate runs: its pairs so far, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from perfsuite.gate.pair_result import NodeId, Turn, WorkloadName, WorkloadTurns
from perfsuite.gate.side_process import other_side
from perfsuite.judge.pair_ratio import pair_log_ratio, pair_standard_error
from perfsuite.judge.sequential_rule import Decision, SequentialRule, decide
from perfsuite.judge.stage_attribution import StageSeconds
from perfsuite.judge.unclear import explain_unclear
from perfsuite.measure.measurement import GpuReadings


@dataclass(slots=True)
class WorkloadState:
    """One workload: what its pairs measured, one entry a pair."""

    name: WorkloadName
    node: NodeId
    tolerance: float = 0.0  # how much slower it may be
    counters: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # base, head: those that repeat
    log_ratios: list[float] = field(default_factory=list)
    standard_errors: list[float] = field(default_factory=list)  # of the log ratios, from the spread of turns
    median_seconds: list[tuple[float, float]] = field(default_factory=list)  # base, head
    stage_seconds: list[tuple[StageSeconds, StageSeconds]] = field(default_factory=list)  # base, head
    turn_medians: list[dict[str, list[float]]] = field(default_factory=list)  # by side
    gate_seconds: float | None = None  # what its latest pair took of the gate's time
    attempted_pairs: int = 0  # in which it was to run; it may not have been reached
    gpu_readings: dict[str, list[GpuReadings]] = field(default_factory=lambda: {"base": [], "head": []})
    throttled_turns: int = 0  # turns in which the GPU was throttled even when repeated
    unobserved_turns: int = 0  # turns without readings of a GPU
    decision: Decision | None = None

    def add_pair(self, turns: WorkloadTurns, first_side: str) -> None:
        """Add the turns of one pair."""
        by_side = {first_side: turns.first_turns, other_side(first_side): turns.second_turns}
        base, head = ([turn.median for turn in by_side[side]] for side in ("base", "head"))
        self.log_ratios.append(pair_log_ratio(base, head))
        self.standard_errors.append(pair_standard_error(base, head))
        self.median_seconds.append((median(base), median(head)))
        self.turn_medians.append({"base": base, "head": head})
        self.stage_seconds.append((_stage_medians(by_side["base"]), _stage_medians(by_side["head"])))
        self.gate_seconds = turns.gate_seconds
        for side, side_turns in by_side.items():
            readings = [turn.gpu for turn in side_turns if turn.gpu is not None]
            self.gpu_readings[side] += readings
            self.throttled_turns += sum(bool(each.throttled) for each in readings)
            self.unobserved_turns += len(side_turns) - len(readings)

    @property
    def is_undecided(self) -> bool:
        return self.decision is None or self.decision.outcome is None

    @property
    def missing_pairs(self) -> int:
        """Further pairs that would decide it; 0 where it is decided, or pairs do not help."""
        return (self.decision.missing_pairs or 0) if self.decision else 0

    @property
    def pair_error(self) -> float:
        """The standard error of one pair's log ratio, from the spread of its turns."""
        return median(self.standard_errors) if self.standard_errors else 0.0

    def decide(self, rule: SequentialRule, spent: bool = False) -> Decision:
        """Judge the pairs so far; with `spent`, no more will follow."""
        decision = decide(rule, self.log_ratios, self.tolerance, spent, self.pair_error)
        return explain_unclear(decision, rule, self.log_ratios, self.tolerance, self.pair_error)


def _stage_medians(turns: Sequence[Turn]) -> StageSeconds:
    by_turn = [turn.seconds_by_stage for turn in turns]
    stages = {stage for seconds in by_turn for stage in seconds}
    return {stage: median(seconds.get(stage, 0.0) for seconds in by_turn) for stage in stages}
