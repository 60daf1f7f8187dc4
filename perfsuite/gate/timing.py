"""The timing stage: pairs until every workload is decided or the time is spent."""

from __future__ import annotations

import time

from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.null_pairs import has_enough_null_pairs, null_pair_count, run_null_pair
from perfsuite.gate.workload_state import WorkloadState


def time_workloads(context: GateContext, state: GateState) -> None:
    """Run timed pairs, and null pairs between them."""
    settings, pair_seconds = context.settings, 0.0
    while (
        state.undecided()
        and state.timed_pairs < settings.max_pairs
        and has_time_for_another_pair(context, state, pair_seconds)
    ):
        begin = time.monotonic()
        _run_timed_pair(context, state)
        pair_seconds = time.monotonic() - begin
        if settings.null_workloads and not has_enough_null_pairs(state):
            run_null_pair(context, state)
    while (
        state.workloads
        and null_pair_count(state) > 0
        and not has_enough_null_pairs(state)
        and has_time_for_another_pair(context, state, pair_seconds)
    ):
        run_null_pair(context, state)
    if state.undecided() and state.timed_pairs < settings.max_pairs:
        _note_spent_time(context, state, pair_seconds)
    state.close_undecided()


def has_time_for_another_pair(context: GateContext, state: GateState, pair_seconds: float) -> bool:
    """Whether a pair as long as the latest one ends within the time budget."""
    return context.elapsed_seconds + pair_seconds < context.settings.time_budget_seconds


def _run_timed_pair(context: GateContext, state: GateState) -> None:
    """Run the undecided workloads once, and judge them again."""
    undecided = state.undecided()
    names = {workload.name for workload in undecided}
    result = context.runner.run(
        list(dict.fromkeys(workload.node for workload in undecided)),
        skip=frozenset(state.workloads) - names,
    )
    state.timed_pairs += 1
    state.record_outcomes(result, context.is_on_base)
    for turns in result.workload_turns:
        if turns.name in state.workloads:
            state.workloads[turns.name].add_pair(turns, result.first_side)
    if not result.workload_turns and not result.is_out_of_time:
        _exclude_unreached(state, undecided, result.abort_reason or "no benchmark was reached")
    for workload in state.undecided():
        workload.decision = workload.decide(state.rule)
    context.on_progress(
        f"pair {state.timed_pairs} of at most {context.settings.max_pairs}: {len(state.undecided())} of "
        f"{len(state.workloads)} workloads undecided, {context.elapsed_seconds:.0f} s"
    )


def _exclude_unreached(state: GateState, workloads: list[WorkloadState], reason: str) -> None:
    """Exclude what a pair without any turn was to time: another pair would end in the same way."""
    state.notes.append(f"pair {state.timed_pairs}: {reason}")
    for workload in workloads:
        if workload.name in state.workloads:
            state.mark_unreached(workload.node, reason[:300])


def _note_spent_time(context: GateContext, state: GateState, pair_seconds: float) -> None:
    settings = context.settings
    note = (
        f"the time budget of {settings.time_budget_seconds:.0f} s ended after {state.timed_pairs} of "
        f"{settings.max_pairs} pairs, {pair_seconds:.0f} s each; the fewest that can report a regression "
        f"are {state.rule.min_pairs} (--time-budget)"
    )
    context.on_progress(note)
    state.notes.append(note)
