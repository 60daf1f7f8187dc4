"""The gate: prepare both sides, count, run pair after pair until every workload is decided, report."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from perfsuite.gate import node_verdicts
from perfsuite.gate.build_report import build_report
from perfsuite.gate.collect_suites import collect_suites
from perfsuite.gate.counting import count_benchmarks, nodes_to_run
from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.gpu_notes import describe_other_processes, uses_device
from perfsuite.gate.pair_result import NodeId
from perfsuite.gate.prepare_sides import OnProgress, ignore_progress, open_pair_runner
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.side_process import SIDES
from perfsuite.gate.timing import time_workloads
from perfsuite.gate.timing_plan import PairCosts
from perfsuite.judge.gate_report import GateReport
from perfsuite.judge.sequential_rule import SequentialRule
from perfsuite.judge.verdict import Outcome


def gate(
    settings: GateSettings, here: Path, command: str = "", on_progress: OnProgress = ignore_progress
) -> GateReport:
    """Compare two states of the repository that `here` lies in."""
    started_at = time.monotonic()
    seed = settings.seed if settings.seed is not None else secrets.randbelow(2**32)
    with open_pair_runner(here, settings, random.Random(seed), on_progress) as runner:
        begin = time.monotonic()
        suites = collect_suites(runner)
        context = GateContext(
            runner=runner, suites=suites.of_shard(settings), started_at=started_at, on_progress=on_progress
        )
        runner.is_out_of_time = context.is_out_of_time
        state = GateState(costs=PairCosts(start_seconds=time.monotonic() - begin))
        try:
            _run_stages(context, state)
        except KeyboardInterrupt:
            state.mark_interrupted()
        return build_report(context, state, command, seed)


def _run_stages(context: GateContext, state: GateState) -> None:
    _note_rules(context, state)
    if (record := context.suites.shard) is not None:
        own = len({*context.base_nodes(), *context.suites.nodes("head")})
        context.on_progress(f"shard {record.shard}: {own} of {record.collected_tests} tests")
    _note_divergence(context, state)
    nodes = nodes_to_run(context)
    count_benchmarks(context, state, nodes)
    _report_absences(context, state, nodes)
    _plan_rule(context, state)
    _note_gpu_processes(context, state)
    time_workloads(context, state)
    _note_gpu_processes(context, state)


def _note_rules(context: GateContext, state: GateState) -> None:
    """Name the rules of head that were not applied."""
    for note in context.settings.notes:
        _note(context, state, note)
    changed = context.suites.changed_markers() if context.settings.rules == "base" else ()
    if changed:
        _note(
            context,
            state,
            f"head changes mark.tolerance of {len(changed)} tests ({', '.join(changed[:3])}); base's rules "
            "were applied (--rules head applies head's)",
        )


def _note_divergence(context: GateContext, state: GateState) -> None:
    head, base = (context.runner.worktrees[side].commit for side in ("head", "base"))
    _note(context, state, context.runner.repository.divergence_note(head, base))


def _report_absences(context: GateContext, state: GateState, nodes: Sequence[NodeId]) -> None:
    """Give missing and new tests their verdicts, and note what could not be collected."""
    suites = context.suites
    errors = {side: suites.by_side[side].errors for side in SIDES}
    compared = frozenset(workload.node for workload in (*state.workloads.values(), *state.same_code.values()))
    for verdict in node_verdicts.find_missing_and_new(
        suites.nodes("base"), suites.nodes("head"), context.settings.renames, compared, errors
    ):
        node = NodeId(verdict.workload)
        if verdict.outcome is Outcome.NEW and node in nodes:
            continue  # it was to run and was not reached, which is a finding of its own
        if node not in state.judged_nodes():
            state.node_verdicts.setdefault(node, []).append(verdict)
    for verdict in node_verdicts.uncollected(errors, state.judged_nodes(), suites.nodes("head")):
        state.node_verdicts[NodeId(verdict.workload)] = [verdict]
    for side in SIDES:
        causes = map(node_verdicts.summarize_collect_error, errors[side])
        state.notes += [f"{side}: collection failed: {cause}" for cause in causes]


def _note_gpu_processes(context: GateContext, state: GateState) -> None:
    """Name the processes that use the GPU now: no side is alive."""
    if any(map(uses_device, state.workloads.values())):
        for note in describe_other_processes(context.runner.gpu):
            _note(context, state, note)


def _plan_rule(context: GateContext, state: GateState) -> None:
    """Fix the rule before the first timed pair."""
    settings = context.settings
    state.rule = rule = SequentialRule(
        workloads=max(1, len(state.workloads)),
        alpha=settings.own_alpha - state.counter_alpha,
        tolerance=settings.tolerance,
        max_pairs=settings.max_pairs,
        target_mde=settings.mde,
    )
    if rule.min_pairs > rule.max_pairs:
        _note(
            context,
            state,
            f"{rule.max_pairs} pairs are too few to report a regression: with {rule.workloads} workloads and "
            f"a chance of error of {rule.alpha:g} it takes {rule.min_pairs} (--max-pairs)",
        )


def _note(context: GateContext, state: GateState, note: str) -> None:
    if note:
        context.on_progress(note)
        state.notes.append(note)
