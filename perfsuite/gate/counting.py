"""The counting stage: one pair that counts every benchmark, and finds those that cannot be timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perfsuite.gate.confirm_counters import confirm_counters
from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.pair_result import NodeId, NodeOutcome, PairResult, Purpose, WorkloadName
from perfsuite.gate.same_code.stage import keep_same_code, recorded_counting
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge.counter_confirmation import SideCounts, apply_confirmation, find_differences
from perfsuite.judge.counter_diff import CounterDiff, compare_counters
from perfsuite.measure.counters.registry import DIRECTIONS

MAX_COUNTING_PAIRS = 8  # a test that ends its process ends the pair, and another counts the rest


@dataclass(slots=True)
class _Counted:
    """What the counting pairs found, together."""

    counts: dict[WorkloadName, SideCounts] = field(default_factory=dict)
    nodes: dict[WorkloadName, NodeId] = field(default_factory=dict)  # workloads that both sides reached
    outcomes: dict[NodeId, Mapping[str, NodeOutcome]] = field(default_factory=dict)
    remaining: list[NodeId] = field(default_factory=list)
    abort_reason: str = ""  # of the latest pair

    def add(self, result: PairResult) -> None:
        self.counts |= result.counts
        self.nodes |= result.nodes
        self.outcomes |= result.outcomes
        self.abort_reason = result.abort_reason


def nodes_to_run(context: GateContext) -> list[NodeId]:
    """The tests that are to run on both sides."""
    harness = context.settings.harness
    if harness == "own":
        base = set(context.base_nodes())
        return [node for node in context.suites.nodes("head") if node in base]
    return list(context.suites.nodes(harness))


def count_benchmarks(context: GateContext, state: GateState, nodes: Sequence[NodeId]) -> None:
    """Count every benchmark on both sides; what can be timed becomes a workload of the state."""
    if not nodes:
        return
    context.on_progress(f"counting {len(nodes)} benchmarks on both sides")
    begin = context.elapsed_seconds
    with recorded_counting(context) as prover:
        counted = _count_all(context, state, nodes)
    # The first guess at what timing takes. What is slow to count, such as a compilation, is slow to time.
    state.costs.default_seconds = (context.elapsed_seconds - begin) / len(nodes)
    _skip_unmeasured(counted, state)
    if counted.abort_reason:
        for node in counted.remaining:
            state.mark_unreached(node, f"not reached: {counted.abort_reason[:2000]}")
    timed = {
        name: node
        for name, node in counted.nodes.items()
        if node not in state.node_verdicts and name not in state.verdicts
    }
    _judge_counters(context, state, timed, counted.counts)
    if prover is not None:
        keep_same_code(context, state, prover)


def _count_all(context: GateContext, state: GateState, nodes: Sequence[NodeId]) -> _Counted:
    counted = _Counted(remaining=list(nodes))
    for _ in range(MAX_COUNTING_PAIRS):
        result = context.runner.run(counted.remaining, Purpose.COUNTING)
        state.record_outcomes(result, context.is_on_base)
        counted.add(result)
        if result.missing_counters:
            state.notes.append(f"counters: {result.missing_counters}")
        ended_on_both = {node for node, outcomes in result.outcomes.items() if len(outcomes) > 1}
        done = {*result.nodes.values(), *state.judged_nodes(), *ended_on_both}
        counted.remaining = [node for node in counted.remaining if node not in done]
        is_over = result.is_out_of_time or not result.abort_reason
        if is_over or not result.outcomes or not counted.remaining:
            break
    return counted


def _skip_unmeasured(counted: _Counted, state: GateState) -> None:
    """Skip, with that reason, the tests that passed without reaching a benchmark."""
    for node, outcomes in counted.outcomes.items():
        has_passed = all(outcome.outcome == "passed" for outcome in outcomes.values())
        # Else the pair ended before the other side reached it.
        is_complete = len(outcomes) > 1 or not counted.abort_reason
        is_open = node not in counted.nodes.values() and node not in state.judged_nodes()
        if has_passed and is_complete and is_open:
            state.skipped[node] = "it passed without measuring anything"
            counted.remaining = [other for other in counted.remaining if other != node]


def _judge_counters(
    context: GateContext,
    state: GateState,
    timed: Mapping[WorkloadName, NodeId],
    counts: Mapping[WorkloadName, SideCounts],
) -> None:
    """Compare the counters of each workload, and confirm in fresh processes those that differ."""
    diffs = {name: diff_counters(name, counts.get(name, {})) for name in timed}
    differences = [difference for name, diff in diffs.items() for difference in find_differences(name, diff)]
    confirmation = confirm_counters(context, state, differences, timed)
    for name, node in timed.items():
        result = apply_confirmation(name, diffs[name], confirmation, DIRECTIONS)
        state.verdicts.setdefault(name, []).extend(
            (*result.changed, *result.one_sided, *result.varying_verdicts(name))
        )
        state.workloads[name] = WorkloadState(
            name=name, node=node, tolerance=context.tolerance(name, node), counters=result.stable
        )


def diff_counters(name: WorkloadName, counts: SideCounts) -> CounterDiff:
    """Compare the counters of one workload in one pair."""
    return compare_counters(name, counts.get("base", ()), counts.get("head", ()), DIRECTIONS)
