"""The value that every report format renders, made from a gate or from a comparison of stored runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from perfsuite.judge.gate_report import GateReport, SideRevision, WorkloadGateResult
from perfsuite.judge.next_steps import next_steps, unclear_step
from perfsuite.judge.stored_runs import ComparisonReport
from perfsuite.judge.verdict import Outcome, Verdict, sort_by_severity
from perfsuite.measure.measurement import Environment
from perfsuite.report.text import format_outcome_counts

SCHEMA_VERSION = 1
MAX_NOTE_LENGTH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSide:
    """One side of a comparison: base or head of a gate, or A or B of stored runs."""

    description: str
    name: str = ""
    commit: str = ""  # its first twelve digits
    subject: str = ""  # of the commit
    uncommitted_files: int = 0

    def __str__(self) -> str:
        return " ".join(part for part in (self.name, self.commit, self.description) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Verdicts with what a reader needs to trust, understand and repeat them.

    No text in it is escaped: each format escapes what it renders.
    """

    file_stem: str  # of the files it is written to: gate.html, comparison.html
    title: str
    headline: str
    exit_code: int
    sides: tuple[ReportSide, ...]
    workloads: tuple[WorkloadGateResult, ...]  # the worst first
    certainty: tuple[str, ...]  # the chance of a false alarm, and what it rests on
    data: Mapping[str, object]  # every number of the source, for formats that machines read
    properties: Mapping[str, str] = field(default_factory=dict)
    effort: str = ""  # how much was measured
    first_steps: tuple[str, ...] = ()  # what to do first
    unclear_step: str = ""  # the one of them about what is unclear
    command: str = ""  # repeats the comparison
    notes: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)  # workload -> reason
    environment: Environment | None = None
    tolerance: float = 0.0
    null_log_ratios: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # base against base
    unfit: tuple[str, ...] = ()  # workloads whose base differed from base
    seconds: float = 0.0

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(verdict for workload in self.workloads for verdict in workload.verdicts)

    @property
    def kept(self) -> tuple[WorkloadGateResult, ...]:
        return tuple(each for each in self.workloads if each.outcome is Outcome.KEPT)

    @property
    def not_kept(self) -> tuple[WorkloadGateResult, ...]:
        return tuple(each for each in self.workloads if each.outcome is not Outcome.KEPT)

    @property
    def all_notes(self) -> tuple[str, ...]:
        """What was skipped, then the notes, each cut to a readable length."""
        skipped = (f"skipped on both sides: {name}: {why}" for name, why in sorted(self.skipped.items()))
        return (*skipped, *(note[:MAX_NOTE_LENGTH] for note in self.notes))

    @property
    def closing(self) -> tuple[str, ...]:
        """The last lines of a report: the result, how certain it is, and how to repeat it."""
        effort = f" ({self.effort})" if self.effort else ""
        repeat = (f"reproduce with: {self.command}",) if self.command else ()
        return (f"{self.headline}{effort}", *self.detectable, *self.certainty, *repeat)

    @property
    def detectable(self) -> tuple[str, ...]:
        """The size of a slowdown that would have been found in every workload that was timed and kept."""
        mdes = [each.mde for each in self.verdicts if each.outcome is Outcome.KEPT and each.mde is not None]
        return (
            (f"kept: slowdowns of {max(mdes):.1%} and more would have been found in noise like this",)
            if mdes
            else ()
        )

    def count(self, outcome: Outcome) -> int:
        """The number of workloads with this outcome."""
        return sum(workload.outcome is outcome for workload in self.workloads)


def report_gate(gate: GateReport) -> Report:
    """Make the report of a gate."""
    return Report(
        file_stem="gate",
        title="perfsuite gate",
        headline=gate.headline,
        exit_code=gate.exit_code,
        sides=(_gate_side("base", gate.base), _gate_side("head", gate.head)),
        workloads=gate.worst_first,
        first_steps=next_steps(gate),
        unclear_step=unclear_step(gate),
        effort=f"{gate.pairs} pairs of processes, {gate.seconds:.0f} s",
        certainty=(
            _describe_alpha(gate),
            describe_null_pairs(gate),
        ),
        data={
            "schema": SCHEMA_VERSION,
            "headline": gate.headline,
            "exit_code": gate.exit_code,
            **asdict(gate),
            "attributed_stages": gate.attributed_stages,
            "outcomes": {workload.name: workload.outcome.value for workload in gate.workloads},
            "verdicts": [asdict(verdict) for verdict in sort_by_severity(gate.verdicts)],
        },
        properties={
            "base": gate.base.commit,
            "head": gate.head.commit,
            "alpha": f"{gate.alpha:g}",
            "max pairs": str(gate.max_pairs),
            **({} if gate.shard is None else {"shard": str(gate.shard.shard)}),
            "seed": str(gate.seed),
            "environment": gate.environment.fingerprint,
            "command": gate.command,
        },
        command=gate.command,
        notes=gate.notes,
        skipped=gate.skipped,
        environment=gate.environment,
        tolerance=gate.tolerance,
        null_log_ratios=gate.null_log_ratios,
        unfit=gate.unfit,
        seconds=gate.seconds,
    )


def report_comparison(
    comparison: ComparisonReport,
    *,
    sides: Sequence[str] = (),
    history_runs: int = 0,
    alpha: float,
    exit_code: int,
) -> Report:
    """Make the report of a comparison of stored runs; `history_runs` counts the runs besides both sides."""
    verdicts = sort_by_severity(comparison.verdicts)
    by_workload: dict[str, list[Verdict]] = {}
    for verdict in verdicts:  # a workload's place is that of its worst verdict
        by_workload.setdefault(verdict.workload, []).append(verdict)
    workloads = tuple(
        WorkloadGateResult(name, tuple(its), seconds_per_call=comparison.seconds_per_call.get(name))
        for name, its in by_workload.items()
    )
    headline = format_outcome_counts(verdicts)
    return Report(
        file_stem="comparison",
        title="Stored runs",
        headline=headline,
        exit_code=exit_code,
        sides=tuple(ReportSide(description=side) for side in sides),
        workloads=workloads,
        certainty=(
            f"chance of any false alarm in this comparison: at most {100 * alpha:g} %",
            f"history: {history_runs} other run{'s' * (history_runs != 1)} of this environment",
        ),
        data={
            "schema": SCHEMA_VERSION,
            "headline": headline,
            "exit_code": exit_code,
            "sides": list(sides),
            "alpha": alpha,
            "warnings": list(comparison.warnings),
            "outcomes": {workload.name: workload.outcome.value for workload in workloads},
            "verdicts": [asdict(verdict) for verdict in verdicts],
        },
        properties={"alpha": f"{alpha:g}"},
        notes=comparison.warnings,
    )


def _describe_alpha(gate: GateReport) -> str:
    promise = f"at most {100 * gate.alpha:g} %"
    if gate.merged_shards:
        return f"chance of any false alarm in all {gate.merged_shards} shards: {promise}"
    if gate.shard is not None:
        shard = gate.shard.shard
        own = f"{100 * shard.alpha(gate.alpha):g} %"
        return f"chance of any false alarm in shard {shard}: at most {own}; in all shards {promise}"
    return f"chance of any false alarm in this gate: {promise}"


def describe_null_pairs(gate: GateReport) -> str:
    """State what comparing base with base showed of the machine."""
    if gate.unfit:
        return f"machine unfit: base differed from base in {', '.join(gate.unfit)}; no time was judged"
    pairs = max((len(ratios) for ratios in gate.null_log_ratios.values()), default=0)
    if not pairs:
        return "the machine was not tested: no null pair was run"
    return f"machine: base agreed with base in {pairs} null pairs of {len(gate.null_log_ratios)} workloads"


def _gate_side(name: str, revision: SideRevision) -> ReportSide:
    return ReportSide(
        name=name,
        commit=revision.commit[:12],
        description=revision.label,
        subject=revision.subject,
        uncommitted_files=len(revision.uncommitted),
    )
