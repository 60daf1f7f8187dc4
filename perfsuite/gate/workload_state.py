"""The evidence on one workload while a gate runs: its pairs so far, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, median

from perfsuite.gate.pair_result import NodeId, Turn, WorkloadName, WorkloadTurns
from perfsuite.gate.side_process import other_side
from perfsuite.judge.pair_ratio import pair_log_ratio, pair_standard_error
from perfsuite.judge.pairs_needed import count_missing_pairs
from perfsuite.judge.sequential_rule import Decision, SequentialRule, decide
from perfsuite.judge.stage_attribution import StageSeconds
from perfsuite.measure.measurement import GpuReadings

MAX_WAITED_SHARE = 0.1  # of a turn; beyond it the size of a change is not known


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
    gate_seconds: float | None = None  # what its latest pair took of the gate's time
    attempted_pairs: int = 0  # in which it was to run; it may not have been reached
    # By pair, of the side that waited less: the share of its turns that a thread waited for a core, where
    # this was not subtracted. Only other processes delay both sides.
    waited_shares: list[float] = field(default_factory=list)
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
        self.stage_seconds.append((_stage_medians(by_side["base"]), _stage_medians(by_side["head"])))
        self.gate_seconds = turns.gate_seconds
        self.waited_shares.append(min(mean(turn.waited_share for turn in each) for each in by_side.values()))
        for side, side_turns in by_side.items():
            readings = [turn.gpu for turn in side_turns if turn.gpu is not None]
            self.gpu_readings[side] += readings
            self.throttled_turns += sum(bool(each.throttled) for each in readings)
            self.unobserved_turns += len(side_turns) - len(readings)

    @property
    def is_undecided(self) -> bool:
        return self.decision is None or self.decision.outcome is None

    @property
    def waited_share(self) -> float:
        """The share of a turn that its threads waited for a core, in the middle pair."""
        return median(self.waited_shares) if self.waited_shares else 0.0

    @property
    def is_contended(self) -> bool:
        """Whether other processes kept its threads from their cores, so that its size is not known."""
        return self.waited_share > MAX_WAITED_SHARE

    @property
    def missing_pairs(self) -> int:
        """Further pairs that would decide it; 0 where it is decided, or pairs do not help."""
        return (self.decision.missing_pairs or 0) if self.decision else 0

    @property
    def pair_error(self) -> float:
        """The standard error of one pair's log ratio, from the spread of its turns."""
        return median(self.standard_errors) if self.standard_errors else 0.0

    def decide(self, rule: SequentialRule, is_final: bool = False) -> Decision:
        """Judge the pairs so far; `is_final`: no more will follow."""
        decision = decide(rule, self.log_ratios, self.tolerance, is_final, self.pair_error)
        return count_missing_pairs(decision, rule, self.log_ratios, self.tolerance, self.pair_error)

    def final_decision(self, rule: SequentialRule) -> Decision:
        """The decision; where it is open, that on the pairs so far if no more follow."""
        if self.decision is None or self.decision.outcome is None:
            return self.decide(rule, is_final=True)
        return self.decision


def _stage_medians(turns: Sequence[Turn]) -> StageSeconds:
    by_turn = [turn.seconds_by_stage for turn in turns]
    stages = {stage for seconds in by_turn for stage in seconds}
    return {stage: median(seconds.get(stage, 0.0) for seconds in by_turn) for stage in stages}
