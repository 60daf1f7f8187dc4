"""How a gate spends its time budget, on invented pairs and an invented clock."""

from __future__ import annotations

import pytest

from perfsuite.gate.gate_state import GateState
from perfsuite.gate.pair_result import NodeId, WorkloadName
from perfsuite.gate.timing import advise_unclear, describe_plan, time_workloads
from perfsuite.gate.timing_plan import PairCosts, choose_workloads
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge import machine_fitness
from perfsuite.judge.pair_verdict import pair_verdict
from perfsuite.judge.sequential_rule import SequentialRule
from perfsuite.judge.verdict import Outcome
from tests.gate.simulated_timing import simulated_gate

EIGHT = {f"t{number}": 1.0 for number in range(8)}


def outcomes(state: GateState) -> list[Outcome]:
    found = [workload.decision.outcome for workload in state.workloads.values() if workload.decision]
    return [outcome for outcome in found if outcome is not None]


def test_with_enough_time_all_are_timed_together_and_null_pairs_run_between() -> None:
    context, state, runner = simulated_gate(EIGHT, 600, {"t3": 0.1})
    time_workloads(context, state)
    assert outcomes(state).count(Outcome.KEPT) == 7
    assert state.workloads[WorkloadName("t3")].decision.outcome is Outcome.REGRESSED  # type: ignore[union-attr]
    assert runner.pairs[0] == tuple(EIGHT)
    assert len(runner.pairs) == state.rule.looks[0], "the fewest pairs that can report a change"
    assert runner.null_pairs == machine_fitness.NULL_PAIRS
    assert state.notes == []


@pytest.mark.parametrize("budget", [5, 20, 45, 70, 100, 200])
@pytest.mark.parametrize("elapsed", [0, 30])
def test_the_time_budget_is_kept_by_timed_pairs_and_null_pairs(budget: float, elapsed: float) -> None:
    context, state, runner = simulated_gate(EIGHT, budget, {"t3": 0.1}, elapsed=elapsed)
    time_workloads(context, state)
    assert runner.now <= max(budget, elapsed)
    assert len(outcomes(state)) == len(EIGHT), "each has an outcome"


def test_few_that_are_decided_come_before_many_that_are_not() -> None:
    """All together would have three pairs each, and none would be decided."""
    slow = {f"slow{number}": 10.0 for number in range(8)}
    context, state, runner = simulated_gate(slow | EIGHT, 200)
    state.costs.default_seconds = 5.0
    time_workloads(context, state)
    decided = [name for name, each in state.workloads.items() if each.decision and not each.missing_pairs]
    assert set(EIGHT) <= set(decided)
    assert runner.now <= 200


def test_time_for_no_regression_still_keeps_what_four_quiet_pairs_keep() -> None:
    context, state, _ = simulated_gate({"t": 10.0}, 45, scatter=0.002)
    time_workloads(context, state)
    assert outcomes(state) == [Outcome.KEPT]


def test_null_pairs_wait_where_time_is_short_and_decisions_come_first() -> None:
    context, state, runner = simulated_gate(EIGHT, 46)
    time_workloads(context, state)
    assert outcomes(state) == [Outcome.KEPT] * 8
    assert runner.null_pairs < machine_fitness.NULL_PAIRS


def test_a_large_change_that_the_time_did_not_suffice_for_says_how_large_and_what_is_missing() -> None:
    context, state, runner = simulated_gate({"t": 10.0}, 70, {"t": 0.5})
    time_workloads(context, state)
    decision = state.workloads[WorkloadName("t")].decision
    assert decision is not None
    assert decision.outcome is Outcome.UNCLEAR
    assert len(runner.pairs) == 6
    reason = pair_verdict("t", decision, state.rule, tolerance=0.01).reason
    assert reason.startswith("looks 50.")
    assert reason.endswith("2 more pairs are needed to promise 1 %")
    assert advise_unclear(context, state) == ("--time-budget 110s",)
    assert "1 of 1" not in state.notes[-1]
    assert "0 of 1 timed workloads are decided" in state.notes[-1]


def test_the_advice_is_enough() -> None:
    context, state, _ = simulated_gate({"t": 10.0}, 110, {"t": 0.5})
    time_workloads(context, state)
    assert outcomes(state) == [Outcome.REGRESSED]
    assert advise_unclear(context, state) == ()


def test_the_plan_is_said_before_the_first_pair() -> None:
    lines: list[str] = []
    context, state, _ = simulated_gate(EIGHT, 600, on_progress=lines.append)
    state.same_code = {
        WorkloadName(f"s{number}"): WorkloadState(WorkloadName("s"), NodeId("s")) for number in range(20)
    }
    time_workloads(context, state)
    assert lines[0].startswith("28 benchmarks, 20 ran the same code, 8 to time, about ")
    assert "left" not in lines[0]


def test_the_plan_says_what_the_budget_lacks() -> None:
    context, state, _ = simulated_gate(EIGHT, 30, elapsed=10)
    assert "20s are left, so the quickest come first (--time-budget 90s for all)" in describe_plan(
        context, state
    )


def test_nothing_to_time_needs_no_time() -> None:
    context, state, runner = simulated_gate({}, 600)
    assert describe_plan(context, state) == "0 benchmarks, 0 to time"
    time_workloads(context, state)
    assert (runner.pairs, runner.null_pairs) == ([], 0)


def test_what_is_timed_next_does_not_depend_on_estimates() -> None:
    """With the sides of every pair exchanged the choice is the same."""
    for sign in (1, -1):
        workloads = [
            WorkloadState(WorkloadName(f"t{n}"), NodeId(f"t{n}"), gate_seconds=n + 1.0) for n in range(6)
        ]
        for number, workload in enumerate(workloads):
            workload.log_ratios = [sign * 0.01 * (number - 3)] * (number % 3)
        chosen = choose_workloads(workloads, SequentialRule(6), PairCosts(1.0), 70)
        assert [each.name for each in chosen] == ["t0", "t1", "t2", "t5"]


def test_null_pairs_that_measure_nothing_end() -> None:
    context, state, runner = simulated_gate(EIGHT, 1e9, fails_null_pairs=True)
    time_workloads(context, state)
    assert runner.null_pairs == 2 * machine_fitness.NULL_PAIRS
    assert outcomes(state) == [Outcome.KEPT] * 8
