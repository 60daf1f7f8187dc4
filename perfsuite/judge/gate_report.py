"""The result of a gate, which `report.report` turns into what every format renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perfsuite.errors import ExitCode
from perfsuite.judge.gate_shard import ShardRecord
from perfsuite.judge.stage_attribution import StageChange, attribute_change
from perfsuite.judge.verdict import (
    Outcome,
    Verdict,
    count_by_outcome,
    exit_code,
    severity_key,
    worst,
)
from perfsuite.measure.measurement import Environment


@dataclass(frozen=True, slots=True)
class SideRevision:
    """The revision of one side, as reports show it."""

    label: str
    commit: str
    subject: str = ""
    uncommitted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkloadGateResult:
    """One workload: its verdicts (time and counters) and the numbers behind them."""

    name: str
    verdicts: tuple[Verdict, ...]
    file: str = ""
    line: int = 0
    log_ratios: tuple[float, ...] = ()  # one per pair, head over base
    seconds_per_call: tuple[float, float] | None = None  # base, head; medians over the pairs
    stages: tuple[StageChange, ...] = ()
    counters: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # base, head
    standard_errors: tuple[float, ...] = ()  # of each log ratio, from the turns of its pair
    timing_reason: str = ""  # why it was timed, where the gate looked for a proof that it need not be

    @property
    def worst(self) -> Verdict:
        return worst(self.verdicts)

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of its verdicts."""
        return self.worst.outcome

    @property
    def attributed_stage(self) -> str | None:
        """The stage that changed most where the time changed; None if the workload announces no stages."""
        for verdict in self.verdicts:
            if verdict.metric == "time" and verdict.outcome in {Outcome.REGRESSED, Outcome.IMPROVED}:
                return attribute_change(self.stages, slower=verdict.outcome is Outcome.REGRESSED)
        return None


@dataclass(frozen=True, slots=True)
class GateReport:
    """All results of one gate."""

    base: SideRevision
    head: SideRevision
    workloads: tuple[WorkloadGateResult, ...]
    environment: Environment
    command: str  # that repeats the gate
    alpha: float
    tolerance: float
    target_mde: float
    max_pairs: int
    pairs: int
    null_log_ratios: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    unfit: tuple[str, ...] = ()  # workloads whose null pairs differed
    skipped: Mapping[str, str] = field(default_factory=dict)  # name -> reason
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    seed: int = 0
    interrupted: bool = False  # before every workload was decided
    advice: tuple[str, ...] = ()  # options with which a gate like this one would decide what is unclear
    settings: Mapping[str, str] = field(default_factory=dict)  # others that decide what is compared, and how
    shard: ShardRecord | None = None
    merged_shards: int = 0  # whose reports were merged into this one

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(verdict for workload in self.workloads for verdict in workload.verdicts)

    @property
    def worst_first(self) -> tuple[WorkloadGateResult, ...]:
        """The workloads by severity, then by size of the change."""
        return tuple(sorted(self.workloads, key=lambda workload: severity_key(workload.worst)))

    @property
    def outcome_counts(self) -> dict[Outcome, int]:
        """Number of workloads of each outcome that occurs, the worst first."""
        return count_by_outcome(workload.worst for workload in self.workloads)

    @property
    def attributed_stages(self) -> dict[str, str]:
        """The stage that changed most with each change of time, by workload."""
        return {workload.name: stage for workload in self.workloads if (stage := workload.attributed_stage)}

    def count(self, outcome: Outcome) -> int:
        return sum(workload.outcome is outcome for workload in self.workloads)

    @property
    def is_empty_shard(self) -> bool:
        """Whether all tests of the suite belong to other shards."""
        is_part = self.shard is not None and self.shard.collected_tests > 0
        return is_part and not self.workloads and not self.skipped

    @property
    def exit_code(self) -> ExitCode:
        """That of the worst verdict, unless the gate was interrupted or the machine unfit.

        A shard to which no test belongs is green; all shards together are red if they compare nothing.
        """
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.is_empty_shard:
            return ExitCode.KEPT
        code = exit_code(self.verdicts)
        is_hidden = self.unfit and code not in {ExitCode.REGRESSED, ExitCode.NOT_COMPARED}
        return ExitCode.UNFIT if is_hidden else code

    @property
    def headline(self) -> str:
        """The counts of all outcomes in one line.

        >>> side = SideRevision("main", "0" * 40)
        >>> GateReport(side, side, (), Environment({}), "", 0.01, 0.01, 0.05, 24, 0).headline
        'nothing was compared'
        """
        if self.is_empty_shard:
            return "no benchmark belongs to this shard"
        if not self.workloads:
            return "nothing was compared"
        prefix = "interrupted; " * self.interrupted + "machine unfit for timing; " * bool(self.unfit)
        return prefix + ", ".join(f"{count} {outcome}" for outcome, count in self.outcome_counts.items())
