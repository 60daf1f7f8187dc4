"""Sizes that were measured while other processes used the cores."""

from __future__ import annotations

import math

import pytest

from perfsuite.gate.gate_state import GateState
from perfsuite.gate.git import Repository
from perfsuite.gate.pair_result import NodeId, Turn, WorkloadName, WorkloadTurns
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import Project
from tests.gate.test_unjudged import collected, report_of


def pairs_of(base_waited: float, head_waited: float) -> WorkloadState:
    """Eight pairs in which head is 10 % slower, and the sides waited so much."""
    workload = WorkloadState(WorkloadName("t"), NodeId("t"), tolerance=0.01)
    for _ in range(8):
        base = (Turn(median=1.0, low=1.0, waited_share=base_waited),) * 8
        head = (Turn(median=1.1, low=1.1, waited_share=head_waited),) * 8
        workload.add_pair(WorkloadTurns(workload.name, workload.node, base, head), "base")
    return workload


@pytest.mark.parametrize(
    ("base_waited", "head_waited", "is_contended"),
    [
        (0.0, 0.0, False),
        (0.05, 0.05, False),
        (0.4, 0.4, True),
        (0.0, 0.4, False),  # head's own threads wait for one another: that is its slowdown
    ],
)
def test_a_size_is_not_known_where_both_sides_waited_for_cores(
    base_waited: float, head_waited: float, is_contended: bool
) -> None:
    workload = pairs_of(base_waited, head_waited)
    assert workload.is_contended is is_contended
    assert workload.log_ratios == [pytest.approx(math.log(1.1))] * 8


@pytest.mark.parametrize(("waited", "outcome"), [(0.0, Outcome.REGRESSED), (0.4, Outcome.UNCLEAR)])
def test_the_report_says_that_a_size_is_not_known(project: Project, waited: float, outcome: Outcome) -> None:
    project.commit({"README": ""})
    workload = pairs_of(waited, waited)
    state = GateState(workloads={workload.name: workload})
    workload.decision = workload.decide(state.rule)
    assert workload.decision.outcome is Outcome.REGRESSED
    report = report_of(Repository.at(project.root), collected("t"), collected("t"), state)
    (verdict,) = report.verdicts
    assert verdict.outcome is outcome
    assert verdict.reason.endswith("10.0% slower, tolerance 1.0%"), "what was seen is said"
    assert ("for 40% of the time, so the size of a change is not known" in verdict.reason) is (waited > 0)
