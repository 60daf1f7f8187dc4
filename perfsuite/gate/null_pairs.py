"""Null pairs: base against base, to find out whether identical code shows different times on this machine."""

from __future__ import annotations

from math import inf

from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.pair_result import WorkloadName
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge import machine_fitness


def null_pair_count(state: GateState) -> int:
    """How many null pairs the workload with the most of them has."""
    return max(map(len, state.null_log_ratios.values()), default=0)


def run_null_pair(context: GateContext, state: GateState) -> None:
    """Run one null pair of the chosen workloads; the first call chooses them."""
    if not state.null_workloads:
        state.null_workloads = _choose_null_workloads(context, state)
    begin = context.elapsed_seconds
    chosen = [state.workloads[name] for name in state.null_workloads if name in state.workloads]
    result = context.runner.run(
        list(dict.fromkeys(workload.node for workload in chosen)),
        null=True,
        skip=frozenset(state.workloads) - set(state.null_workloads),
    )
    for turns in result.workload_turns:
        workload = WorkloadState(turns.name, turns.node)
        workload.add_pair(turns, result.first_side)
        state.null_log_ratios.setdefault(turns.name, []).append(workload.log_ratios[0])
    state.null_pairs_run += 1
    state.costs.null_pair_seconds = context.elapsed_seconds - begin
    context.on_progress(
        f"base against base, {null_pair_count(state)} of {machine_fitness.NULL_PAIRS}, "
        f"{context.elapsed_seconds:.0f} s"
    )


def _choose_null_workloads(context: GateContext, state: GateState) -> tuple[WorkloadName, ...]:
    """A random few of the faster half of all workloads."""
    by_cost = sorted(
        state.workloads.values(),
        key=lambda workload: inf if workload.gate_seconds is None else workload.gate_seconds,
    )
    number = min(context.settings.null_workloads, len(by_cost))
    candidates = by_cost[: max(number, len(by_cost) // 2)]
    return tuple(workload.name for workload in context.runner.rng.sample(candidates, number))
