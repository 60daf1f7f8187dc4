"""Build the report of one gate from its context and its final state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from perfsuite.gate import node_verdicts
from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.gpu_notes import gpu_notes
from perfsuite.gate.pair_result import NodeId
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.timing import advise_unclear
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge.gate_report import GateReport, SideRevision, WorkloadGateResult
from perfsuite.judge.machine_fitness import unfit_workloads
from perfsuite.judge.pair_verdict import pair_verdict
from perfsuite.judge.stage_attribution import stage_changes
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.environment import detect_environment


def build_report(context: GateContext, state: GateState, command: str, seed: int) -> GateReport:
    """The one value that every report format is made from. The state is not changed."""
    settings = context.settings
    null_log_ratios = {str(name): tuple(ratios) for name, ratios in state.null_log_ratios.items()}
    unfit = unfit_workloads(null_log_ratios, settings.tolerance)
    advice = advise_unclear(context, state)
    return GateReport(
        base=_side_revision(context, "base"),
        head=_side_revision(context, "head"),
        workloads=(
            *(
                _timed_result(context, state, workload, advice, is_unfit=bool(unfit))
                for workload in state.workloads.values()
            ),
            *(_same_code_result(context, workload) for workload in state.same_code.values()),
            *_untimed_results(context, state),
        ),
        environment=detect_environment(),
        command=command,
        alpha=settings.alpha,
        tolerance=settings.tolerance,
        target_mde=settings.mde,
        max_pairs=settings.max_pairs,
        pairs=state.timed_pairs,
        null_log_ratios=null_log_ratios,
        unfit=unfit,
        skipped={str(node): reason for node, reason in state.skipped.items()},
        notes=_notes(state),
        seconds=context.elapsed_seconds,
        seed=seed,
        interrupted=state.is_interrupted,
        advice=advice,
        settings=settings.shared_by_shards,
        shard=context.suites.shard,
    )


def _timed_result(
    context: GateContext,
    state: GateState,
    workload: WorkloadState,
    advice: Sequence[str],
    is_unfit: bool,
) -> WorkloadGateResult:
    decision = workload.final_decision(state.rule)
    verdict = pair_verdict(workload.name, decision, state.rule, workload.tolerance)
    if verdict.missing_pairs and advice:
        verdict = replace(verdict, reason=f"{verdict.reason}: {' '.join(advice)}")
    if is_unfit:
        reason = f"base differs from base on this machine; {verdict.reason}"
        verdict = replace(verdict, outcome=Outcome.UNCLEAR, reason=reason)
    elif workload.is_contended and verdict.outcome is not Outcome.KEPT:
        reason = f"{_contention_reason(workload)}; {verdict.reason}"
        verdict = replace(verdict, outcome=Outcome.UNCLEAR, reason=reason)
    file, line = context.suites.location(workload.node)
    return WorkloadGateResult(
        name=workload.name,
        verdicts=_with_quarantine(context.settings, [verdict, *state.verdicts.get(workload.name, ())]),
        file=file,
        line=line,
        log_ratios=tuple(workload.log_ratios),
        seconds_per_call=_seconds_per_call(workload),
        stages=stage_changes(workload.stage_seconds) if workload.stage_seconds else (),
        counters=workload.counters,
        standard_errors=tuple(workload.standard_errors),
        timing_reason=state.timing_reasons.get(workload.node, ""),
    )


def _contention_reason(workload: WorkloadState) -> str:
    return (
        f"the machine was unfit: other processes kept its threads from their cores for "
        f"{workload.waited_share:.0%} of the time, so the size of a change is not known; "
        "stop them (perfsuite doctor names them)"
    )


def _same_code_result(context: GateContext, workload: WorkloadState) -> WorkloadGateResult:
    file, line = context.suites.location(workload.node)
    return WorkloadGateResult(
        name=workload.name,
        verdicts=(node_verdicts.same_code_verdict(workload.name),),
        file=file,
        line=line,
        counters=workload.counters,
    )


def _seconds_per_call(workload: WorkloadState) -> tuple[float, float] | None:
    """Of base and of head: the medians over all pairs."""
    if not workload.median_seconds:
        return None
    base, head = zip(*workload.median_seconds, strict=True)
    return median(base), median(head)


def _untimed_results(context: GateContext, state: GateState) -> list[WorkloadGateResult]:
    """Results of what has verdicts and no pairs, and of what was collected and never judged."""
    compared = state.workloads.keys() | state.same_code.keys()
    excluded = [(name, verdicts) for name, verdicts in state.verdicts.items() if name not in compared]
    unjudged = node_verdicts.unjudged(
        context.base_nodes(), context.suites.nodes("head"), state.judged_nodes(), state.is_interrupted
    )
    groups: list[tuple[str, Sequence[Verdict]]] = [
        *excluded,
        *state.node_verdicts.items(),
        *((verdict.workload, [verdict]) for verdict in unjudged),
    ]
    return [_untimed_result(context, name, verdicts) for name, verdicts in groups if verdicts]


def _untimed_result(context: GateContext, name: str, verdicts: Sequence[Verdict]) -> WorkloadGateResult:
    file, line = context.suites.location(NodeId(name))
    return WorkloadGateResult(
        name=name, verdicts=_with_quarantine(context.settings, verdicts), file=file, line=line
    )


def _with_quarantine(settings: GateSettings, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    return tuple(_apply_quarantine(settings, verdict) for verdict in verdicts)


def _apply_quarantine(settings: GateSettings, verdict: Verdict) -> Verdict:
    entry = settings.quarantine_for(verdict.workload)
    if entry is None or not (verdict.is_red or verdict.outcome is Outcome.UNCLEAR):
        return verdict
    reason = f"{verdict.outcome}: {verdict.reason}"
    quarantine = f"quarantined until {entry.expires}: {entry.reason}"
    if verdict.evidence:  # which lines of several counters have in common
        evidence = f"{verdict.evidence}; {quarantine}"
        return replace(verdict, outcome=Outcome.QUARANTINED, reason=reason, evidence=evidence)
    return replace(verdict, outcome=Outcome.QUARANTINED, reason=f"{reason}; {quarantine}")


def _notes(state: GateState) -> tuple[str, ...]:
    """The notes of all stages, each once."""
    return tuple(dict.fromkeys([*state.notes, *gpu_notes(state.workloads.values())]))


def _side_revision(context: GateContext, side: str) -> SideRevision:
    tree = context.runner.worktrees[side]
    return SideRevision(
        label=tree.label,
        commit=tree.commit,
        subject=context.runner.repository.subject(tree.commit),
        uncommitted=tree.uncommitted_files,
    )
