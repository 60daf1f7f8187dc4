"""The timing stage: pairs until every workload is decided or the time is spent."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.null_pairs import null_pair_count, run_null_pair
from perfsuite.gate.timing_plan import (
    choose_workloads,
    forecast_seconds,
    format_time_option,
    pairs_to_decide,
)
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge import machine_fitness

MARGIN = 1.2  # of an advised time budget, over what the pairs so far took


def time_workloads(context: GateContext, state: GateState) -> None:
    """Run timed pairs, and null pairs between them where there is time for all."""
    context.on_progress(describe_plan(context, state))
    while chosen := choose_workloads(state.timeable(), state.rule, state.costs, context.seconds_left):
        _run_timed_pair(context, state, chosen)
        if _wants_null_pair(context, state) and _fits_null_pairs(context, state):
            run_null_pair(context, state)
    while _wants_null_pair(context, state) and _null_pair_seconds(context, state) < context.seconds_left:
        run_null_pair(context, state)  # those that had to wait
    is_short_of_time = bool(state.timeable())
    state.close_undecided()
    if is_short_of_time:
        _note_spent_time(context, state)


def describe_plan(context: GateContext, state: GateState) -> str:
    """What is going to be timed, and how long it is expected to take."""
    counts = [f"{len(state.workloads) + len(state.same_code)} benchmarks"]
    if state.same_code:
        counts.append(f"{len(state.same_code)} ran the same code")
    counts.append(f"{len(state.workloads)} to time")
    if not state.workloads:
        return ", ".join(counts)
    seconds = remaining_seconds(context, state)
    plan = f"{', '.join(counts)}, about {format_time_option(seconds)}"
    if seconds > context.seconds_left:
        plan += (
            f"; {format_time_option(max(0.0, context.seconds_left))} are left, so the quickest come first "
            f"(--time-budget {format_time_option(context.elapsed_seconds + seconds)} for all)"
        )
    return plan


def remaining_seconds(context: GateContext, state: GateState) -> float:
    """The expected time of all pairs that are still to come."""
    undecided = state.timeable()
    seconds = forecast_seconds(undecided, pairs_to_decide(state.rule), state.costs)
    return seconds + _missing_null_pairs(context, state) * _null_pair_seconds(context, state)


def _missing_null_pairs(context: GateContext, state: GateState) -> int:
    if not context.settings.null_workloads or not state.workloads:
        return 0
    return max(0, machine_fitness.NULL_PAIRS - null_pair_count(state))


def _null_pair_seconds(context: GateContext, state: GateState) -> float:
    return state.costs.of_null_pair(state.workloads.values(), context.settings.null_workloads)


def _wants_null_pair(context: GateContext, state: GateState) -> bool:
    """Null pairs that measure nothing, because a test ends its process, are not repeated for ever."""
    is_repeating = state.null_pairs_run >= 2 * machine_fitness.NULL_PAIRS
    return state.timed_pairs > 0 and not is_repeating and _missing_null_pairs(context, state) > 0


def _fits_null_pairs(context: GateContext, state: GateState) -> bool:
    """Whether the null pairs leave enough time to decide every workload. Else they come last."""
    return remaining_seconds(context, state) <= context.seconds_left


def _run_timed_pair(context: GateContext, state: GateState, chosen: Sequence[WorkloadState]) -> None:
    """Run the chosen workloads once, and judge them again."""
    begin = context.elapsed_seconds
    names = {workload.name for workload in chosen}
    result = context.runner.run(
        list(dict.fromkeys(workload.node for workload in chosen)),
        skip=frozenset(state.workloads) - names,
    )
    state.timed_pairs += 1
    for workload in chosen:
        workload.attempted_pairs += 1
    state.record_outcomes(result, context.is_on_base)
    for turns in result.workload_turns:
        if turns.name in state.workloads:
            state.workloads[turns.name].add_pair(turns, result.first_side)
    if not result.workload_turns and not result.is_out_of_time:
        _exclude_unreached(state, chosen, result.abort_reason or "no benchmark was reached")
    if not result.abort_reason:
        state.costs.observe_pair(chosen, context.elapsed_seconds - begin)
    for workload in state.undecided():
        workload.decision = workload.decide(state.rule)
    context.on_progress(_describe_progress(context, state))


def _describe_progress(context: GateContext, state: GateState) -> str:
    undecided = len(state.undecided())
    line = (
        f"pair {state.timed_pairs}: {undecided} of {len(state.workloads)} workloads undecided, "
        f"{context.elapsed_seconds:.0f} s"
    )
    if not undecided:
        return line
    return f"{line}, about {format_time_option(remaining_seconds(context, state))} left"


def _exclude_unreached(state: GateState, workloads: Sequence[WorkloadState], reason: str) -> None:
    """Exclude what a pair without any turn was to time: another pair would end in the same way."""
    state.notes.append(f"pair {state.timed_pairs}: {reason}")
    for workload in workloads:
        if workload.name in state.workloads:
            state.mark_unreached(workload.node, reason[:300])


def _note_spent_time(context: GateContext, state: GateState) -> None:
    """Say how far the time went. What each workload lacks is in its own verdict."""
    undecided = [each for each in state.workloads.values() if each.missing_pairs]
    total = len(state.workloads)
    note = (
        f"the time budget of {context.settings.time_budget_seconds:.0f} s ended after {state.timed_pairs} "
        f"pairs; {total - len(undecided)} of {total} timed workloads are decided"
    )
    context.on_progress(note)
    state.notes.append(note)


def advise_unclear(context: GateContext, state: GateState) -> tuple[str, ...]:
    """The options with which a gate like this one would decide what is unclear."""
    unclear = [each for each in state.workloads.values() if each.missing_pairs]
    words = []
    seconds = forecast_seconds(unclear, lambda each: each.missing_pairs, state.costs)
    needed = MARGIN * (context.elapsed_seconds + seconds)
    if unclear and needed > context.settings.time_budget_seconds:
        words.append(f"--time-budget {format_time_option(needed)}")
    pairs = max((len(each.log_ratios) + each.missing_pairs for each in unclear), default=0)
    if pairs > context.settings.max_pairs:
        words.append(f"--max-pairs {pairs}")
    return tuple(words)
