"""What a gate found: one value that every report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perfsuite.judge.stage_attribution import StageChange, attribute_change
from perfsuite.judge.verdict import (
    EXIT_INTERRUPTED,
    EXIT_NOT_COMPARED,
    EXIT_REGRESSED,
    EXIT_UNFIT,
    Outcome,
    Verdict,
    exit_code,
)
from perfsuite.measure.measurement import Environment

# Worst first: what a reader must see before anything else.
SEVERITY = (
    Outcome.REGRESSED,
    Outcome.BROKEN,
    Outcome.ERROR,
    Outcome.MISSING,
    Outcome.UNCLEAR,
    Outcome.QUARANTINED,
    Outcome.IMPROVED,
    Outcome.NEW,
    Outcome.KEPT,
)


@dataclass(frozen=True, slots=True)
class SideRevision:
    """One side of the gate, as a reader names it."""

    label: str
    commit: str
    subject: str = ""
    uncommitted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkloadGateResult:
    """One workload: its verdicts (time and counters) and the numbers they rest on."""

    name: str
    verdicts: tuple[Verdict, ...]
    file: str = ""
    line: int = 0
    log_ratios: tuple[float, ...] = ()  # one a pair, head over base
    seconds_per_call: tuple[float, float] | None = None  # base, head: medians over the pairs
    stages: tuple[StageChange, ...] = ()
    counters: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # base, head
    standard_errors: tuple[float, ...] = ()  # of the log ratios, as the turns of each pair tell it

    @property
    def outcome(self) -> Outcome:
        """The worst of its verdicts."""
        return min((verdict.outcome for verdict in self.verdicts), key=SEVERITY.index)

    @property
    def worst(self) -> Verdict:
        return min(self.verdicts, key=lambda verdict: SEVERITY.index(verdict.outcome))

    @property
    def attributed_stage(self) -> str | None:
        """The stage behind a change of time, where the workload names its stages."""
        for verdict in self.verdicts:
            if verdict.metric == "time" and verdict.outcome in {Outcome.REGRESSED, Outcome.IMPROVED}:
                return attribute_change(self.stages, slower=verdict.outcome is Outcome.REGRESSED)
        return None


@dataclass(frozen=True, slots=True)
class GateReport:
    """All of one gate."""

    base: SideRevision
    head: SideRevision
    workloads: tuple[WorkloadGateResult, ...]
    environment: Environment
    command: str  # repeats the gate
    alpha: float
    tolerance: float
    target_mde: float
    max_pairs: int
    pairs: int
    null_log_ratios: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    unfit: tuple[str, ...] = ()  # workloads whose base differed from base
    skipped: Mapping[str, str] = field(default_factory=dict)  # name -> reason
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    seed: int = 0
    interrupted: bool = False  # before all was decided

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(verdict for workload in self.workloads for verdict in workload.verdicts)

    @property
    def worst_first(self) -> tuple[WorkloadGateResult, ...]:
        return tuple(
            sorted(
                self.workloads,
                key=lambda found: (SEVERITY.index(found.outcome), -(found.worst.estimate or 0.0), found.name),
            )
        )

    @property
    def attributed_stages(self) -> dict[str, str]:
        """The stage behind each change of time, by workload."""
        return {found.name: stage for found in self.workloads if (stage := found.attributed_stage)}

    def count(self, outcome: Outcome) -> int:
        return sum(workload.outcome is outcome for workload in self.workloads)

    @property
    def exit_code(self) -> int:
        """0 kept, 1 regressed, 10 unclear, 11 unfit, 12 not everything compared, 130 interrupted."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        code = exit_code(self.verdicts)
        return EXIT_UNFIT if self.unfit and code not in {EXIT_REGRESSED, EXIT_NOT_COMPARED} else code

    @property
    def headline(self) -> str:
        """One sentence: what happened and how sure that is.

        >>> from perfsuite.measure.measurement import Environment
        >>> side = SideRevision("main", "0" * 40)
        >>> GateReport(side, side, (), Environment({}), "", 0.01, 0.01, 0.05, 24, 0).headline
        'nothing was compared'
        """
        if not self.workloads:
            return "nothing was compared"
        ended = "interrupted; " if self.interrupted else ""
        counts = [f"{n} {outcome}" for outcome in SEVERITY if (n := self.count(outcome))]
        unfit = "machine unfit for timing; " if self.unfit else ""
        return f"{ended}{unfit}{', '.join(counts)}"
