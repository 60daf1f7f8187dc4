"""What is said of a gate in the end."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from perfsuite.gate import findings
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge import sequential_rule
from perfsuite.judge.reports import GateReport, SideRevision, WorkloadGateResult
from perfsuite.judge.stage_attribution import stage_changes
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.environment import detect_environment

if TYPE_CHECKING:
    from perfsuite.gate.gate import GateRun


def build_report(run: GateRun, command: str, seed: int) -> GateReport:
    """Everything one gate found, as the one value that every report is made from."""
    unfit = sequential_rule.unfit_workloads(run.null, run.settings.tolerance)
    workloads = [_workload_report(run, found, bool(unfit)) for found in run.workloads.values()]
    workloads += [
        WorkloadGateResult(
            name, tuple(_apply_quarantine(run, verdict) for verdict in verdicts), *_source_location(run, name)
        )
        for name, verdicts in run.verdicts.items()
        if name not in run.workloads and verdicts
    ]
    workloads += [
        WorkloadGateResult(
            verdict.workload, (_apply_quarantine(run, verdict),), *_source_location(run, verdict.workload)
        )
        for verdict in findings.unjudged(
            run.on_base(), run.suites.nodes("head"), run.judged(), run.is_interrupted
        )
    ]
    base, head = (_side_summary(run, side) for side in ("base", "head"))
    held_back = sum(found.throttled_turns for found in run.workloads.values())
    if held_back:
        run.notes.append(f"{held_back} turns were taken with a throttled GPU, even when taken again")
    return GateReport(
        base,
        head,
        tuple(workloads),
        detect_environment(),
        command,
        run.settings.alpha,
        run.settings.tolerance,
        run.settings.mde,
        run.settings.max_pairs,
        run.pairs,
        {name: tuple(seen) for name, seen in run.null.items()},
        unfit,
        dict(run.skipped),
        tuple(dict.fromkeys(run.notes)),
        time.monotonic() - run.started_at,
        seed,
        run.is_interrupted,
    )


def _workload_report(run: GateRun, found: WorkloadState, unfit: bool) -> WorkloadGateResult:
    decision = found.decision or found.decide(run.rule, run.tolerance(found.name), spent=True)
    verdict = decision.verdict(found.name, run.tolerance(found.name))
    if unfit:
        reason = f"base differs from base on this machine; {verdict.reason}"
        verdict = replace(verdict, outcome=Outcome.UNCLEAR, reason=reason)
    seconds = (
        (median(b for b, _ in found.median_seconds), median(h for _, h in found.median_seconds))
        if found.median_seconds
        else None
    )
    return WorkloadGateResult(
        found.name,
        tuple(_apply_quarantine(run, v) for v in (verdict, *run.verdicts.get(found.name, ()))),
        *_source_location(run, found.node),
        tuple(found.log_ratios),
        seconds,
        stage_changes(found.stage_seconds) if found.stage_seconds else (),
        run.counters.get(found.name, {}),
        tuple(found.standard_errors),
    )


def _apply_quarantine(run: GateRun, verdict: Verdict) -> Verdict:
    entry = run.settings.quarantine_for(verdict.workload)
    if entry is None or not (verdict.is_red or verdict.outcome is Outcome.UNCLEAR):
        return verdict
    reason = f"{verdict.outcome}: {verdict.reason}; quarantined until {entry.expires}: {entry.reason}"
    return replace(verdict, outcome=Outcome.QUARANTINED, reason=reason)


def _source_location(run: GateRun, node: str) -> tuple[str, int]:
    for side in ("head", "base"):
        if node in run.suites.by_side[side].locations:
            return run.suites.by_side[side].locations[node]
    return node.split("::", 1)[0], 0


def _side_summary(run: GateRun, side: str) -> SideRevision:
    tree = run.runner.worktrees[side]
    return SideRevision(
        tree.label, tree.commit, run.runner.repository.subject(tree.commit), tree.uncommitted_files
    )
