"""Confirm differences of counters: count the workloads that differ in further pairs of fresh processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.pair_result import NodeId, Purpose, WorkloadName
from perfsuite.judge.counter_confirmation import (
    ALPHA_SHARE,
    Confirmation,
    CountedPair,
    CounterDifference,
    confirm_differences,
    max_confirming_pairs,
)

TIME_SHARE = 0.5  # of the time budget, which counting may use before timing begins


def confirm_counters(
    context: GateContext,
    state: GateState,
    differences: Sequence[CounterDifference],
    nodes: Mapping[WorkloadName, NodeId],
) -> Confirmation:
    """Run pairs until each difference is confirmed or found to vary, or the time for it is spent."""
    if not differences:
        return Confirmation()
    state.counter_alpha = alpha = ALPHA_SHARE * context.settings.own_alpha
    pairs: list[CountedPair] = []
    confirmation = confirm_differences(differences, pairs, alpha)
    most = max_confirming_pairs(len(differences), alpha)
    while not confirmation.is_finished and len(pairs) < most and _has_time(context):
        context.on_progress(
            f"{len(confirmation.open)} counters differ; counting them in "
            f"{confirmation.missing_pairs} more pairs of fresh processes"
        )
        result = context.runner.run(_nodes_of(confirmation, nodes), Purpose.COUNTING)
        pairs.append(
            CountedPair(result.first_side, {str(name): each for name, each in result.counts.items()})
        )
        confirmation = confirm_differences(differences, pairs, alpha)
    return confirmation


def _nodes_of(confirmation: Confirmation, nodes: Mapping[WorkloadName, NodeId]) -> list[NodeId]:
    """The tests of the differences that still have to be counted, in the order of the suite."""
    workloads = {difference.workload for difference in confirmation.needed}
    return list(dict.fromkeys(node for name, node in nodes.items() if name in workloads))


def _has_time(context: GateContext) -> bool:
    return context.elapsed_seconds < TIME_SHARE * context.settings.time_budget_seconds
