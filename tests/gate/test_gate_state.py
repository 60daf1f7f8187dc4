"""What leaves a gate: whole tests by their node id, single workloads by their name."""

from __future__ import annotations

import pytest

from perfsuite.gate.gate_state import GateState
from perfsuite.gate.pair_result import NodeId, NodeOutcome, PairResult, WorkloadName
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge.sequential_rule import Decision
from perfsuite.judge.verdict import Outcome, Verdict

RACE, PLAIN, AUGMENTED = NodeId("race"), WorkloadName("race::plain"), WorkloadName("race::augmented")
KEPT = Decision(outcome=Outcome.KEPT, pairs=4, estimate=0.0, interval=None, mde=0.03)


@pytest.fixture
def state() -> GateState:
    """A gate that times both workloads of one `perf.pair`."""
    workloads = {name: WorkloadState(name, RACE) for name in (PLAIN, AUGMENTED)}
    return GateState(workloads=workloads, verdicts={name: [] for name in workloads})


def on_base(node: NodeId) -> bool:
    return True


def one_sided(name: WorkloadName, side: str) -> PairResult:
    return PairResult(one_sided={name: (RACE, side)})


@pytest.mark.parametrize(("side", "outcome"), [("base", Outcome.MISSING), ("head", Outcome.ERROR)])
def test_a_workload_that_one_side_reached_leaves_and_the_other_of_its_test_stays(
    state: GateState, side: str, outcome: Outcome
) -> None:
    state.record_outcomes(one_sided(AUGMENTED, side), on_base)
    assert list(state.workloads) == [PLAIN]
    assert [verdict.outcome for verdict in state.verdicts[AUGMENTED]] == [outcome]
    assert state.judged_nodes() == {RACE}


def test_a_test_that_fails_leaves_with_all_its_workloads(state: GateState) -> None:
    outcomes = {"base": NodeOutcome("passed"), "head": NodeOutcome("failed", "boom")}
    state.record_outcomes(PairResult(outcomes={RACE: outcomes}), on_base)
    assert state.workloads == {}
    assert state.verdicts == {}
    assert [verdict.outcome for verdict in state.node_verdicts[RACE]] == [Outcome.ERROR]


def test_a_decided_workload_stays(state: GateState) -> None:
    state.workloads[AUGMENTED].decision = KEPT
    state.record_outcomes(one_sided(AUGMENTED, "base"), on_base)
    assert list(state.workloads) == [PLAIN, AUGMENTED]


def test_a_workload_of_a_failed_test_gets_no_second_verdict(state: GateState) -> None:
    state.exclude_node(RACE, Verdict(RACE, "time", Outcome.ERROR, "boom"))
    state.record_outcomes(one_sided(AUGMENTED, "base"), on_base)
    assert state.verdicts == {}
