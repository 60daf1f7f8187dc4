"""A benchmark that was collected and never judged is reported and never green."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from perfsuite.gate.build_report import build_report
from perfsuite.gate.collection import CollectedSuites, SideCollection
from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.git import Repository
from perfsuite.gate.node_verdicts import judge_outcomes, unjudged
from perfsuite.gate.pair_result import NodeId, NodeOutcome, WorkloadName
from perfsuite.gate.pair_runner import PairRunner
from perfsuite.gate.settings import Exemption
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.gate.worktree import Worktree
from perfsuite.judge.gate_report import GateReport
from perfsuite.judge.verdict import Outcome, Verdict
from tests.gate.projects import (
    BENCHMARKS,
    Project,
    jobs,
    outcomes,
    quick_settings,
    src_layout,
    workload_named,
)

DECODE, _, RESIZE = BENCHMARKS.partition("def test_resize")
RESIZE = "def test_resize" + RESIZE
WAYS = {
    "exit": "pytest.exit('no camera')",
    "exit_with_0": "pytest.exit('all done', returncode=0)",
    "interrupt": "raise KeyboardInterrupt",
    "os_exit": "__import__('os')._exit(0)",
    "sys_exit": "__import__('sys').exit(0)",
}


def ends_by(way: str) -> str:
    return f"def test_{way}(benchmark):\n    {WAYS[way]}\n    benchmark(jobs.decode)\n\n\n"


def test_a_test_that_ends_the_process_does_not_affect_others(project: Project) -> None:
    tests = DECODE + "".join(map(ends_by, WAYS)) + RESIZE
    project.commit(src_layout(**{"benchmarks/test_jobs.py": tests}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0011)})
    report = project.gate()
    assert outcomes(report) == {
        "test_decode": Outcome.REGRESSED,
        "test_resize": Outcome.KEPT,
        **{f"test_{way}": Outcome.ERROR for way in WAYS},
    }
    reasons = {way: workload_named(report, f"test_{way}").worst.reason for way in WAYS}
    assert "no camera" in reasons["exit"]
    assert "all done" in reasons["exit_with_0"]
    assert "KeyboardInterrupt" in reasons["interrupt"]
    assert "died" in reasons["os_exit"]
    assert "SystemExit" in reasons["sys_exit"]


@pytest.mark.parametrize("way", ["exit", "os_exit"])
def test_a_test_that_ends_the_process_makes_the_gate_red(project: Project, way: str) -> None:
    """Head's test runs on base too, so base ends the pair before head's outcome is known."""
    project.commit(src_layout(**{"benchmarks/test_jobs.py": DECODE}))
    project.commit({"benchmarks/test_jobs.py": DECODE + ends_by(way) + RESIZE})
    report = project.gate(pytest_args=("-k", f"decode or {way}"))
    assert outcomes(report) == {"test_decode": Outcome.KEPT, f"test_{way}": Outcome.ERROR}
    assert report.exit_code == 12


LATE = """
calls = 0


def test_ends_late(benchmark):
    def call():
        global calls
        calls += 1
        jobs.decode()
        if calls > 10:
            pytest.exit("out of patience")
    benchmark(call)


"""


def test_a_session_that_ends_during_timing_is_an_error(project: Project) -> None:
    project.commit(src_layout(**{"benchmarks/test_jobs.py": DECODE + LATE + RESIZE}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.001) + "# changed\n"})
    report = project.gate(max_pairs=4)  # the first pair ends before it comes to the last test
    assert outcomes(report) == {
        "test_decode": Outcome.KEPT,
        "test_ends_late": Outcome.ERROR,
        "test_resize": Outcome.KEPT,
    }
    assert "out of patience" in workload_named(report, "test_ends_late").worst.reason
    assert report.exit_code == 12


UNSTEADY = """
import os


@pytest.mark.parametrize("name", [os.urandom(4).hex()])
def test_unsteady(benchmark, name):
    benchmark(jobs.decode)
"""
CONFTEST = """
import pytest


@pytest.fixture(autouse=True)
def stop(request):
    yield
    if "decode" in request.node.nodeid:
        request.session.shouldstop = "enough"
"""


@pytest.mark.parametrize("harness", ["head", "base", "own"])
def test_a_name_that_changes_with_every_collection_is_red(project: Project, harness: str) -> None:
    project.commit(src_layout(**{"benchmarks/test_jobs.py": DECODE + UNSTEADY}))
    project.commit({"src/toy/jobs.py": jobs() + "# changed\n"})
    report = project.gate(harness=harness)
    assert outcomes(report)["test_decode"] is Outcome.KEPT
    other_outcomes = {workload.outcome for workload in report.workloads if "unsteady" in workload.name}
    assert other_outcomes & {Outcome.ERROR, Outcome.MISSING}
    assert report.exit_code == 12


def test_a_project_that_stops_the_session_is_red(project: Project) -> None:
    project.commit(src_layout(**{"conftest.py": CONFTEST}))
    project.commit({"src/toy/jobs.py": jobs() + "# changed\n"})
    report = project.gate()
    assert outcomes(report)["test_resize"] is Outcome.ERROR
    assert "enough" in workload_named(report, "test_resize").worst.reason
    assert report.exit_code == 12


UNJUDGED = [
    (["t"], ["t"], [], False, {"t": Outcome.ERROR}),
    (["t"], ["t"], ["t"], False, {}),
    ([], ["t"], [], False, {"t": Outcome.ERROR}),
    (["t"], [], [], False, {"t": Outcome.MISSING}),
    (["t", "u"], ["u", "v"], ["u"], False, {"t": Outcome.MISSING, "v": Outcome.ERROR}),
    (["t"], ["t", "u"], [], True, {"t": Outcome.UNCLEAR, "u": Outcome.UNCLEAR}),
    ([], [], ["t"], False, {}),
]


@pytest.mark.parametrize(("base", "head", "judged", "interrupted", "expected"), UNJUDGED)
def test_collected_tests_without_a_verdict_get_one(
    base: list[NodeId],
    head: list[NodeId],
    judged: list[NodeId],
    interrupted: bool,
    expected: Mapping[str, Outcome],
) -> None:
    verdicts = unjudged(base, head, judged, interrupted)
    assert {verdict.workload: verdict.outcome for verdict in verdicts} == expected
    assert all(verdict.reason for verdict in verdicts)


def collected(*nodes: str) -> SideCollection:
    return SideCollection(locations={NodeId(node): ("test_a.py", 7) for node in nodes})


@pytest.fixture
def repository(project: Project) -> Repository:
    project.commit({"README": ""})
    return Repository.at(project.root)


def report_of(
    repository: Repository, base: SideCollection, head: SideCollection, state: GateState, **settings: Any
) -> GateReport:
    """The report of a gate that ended in this state."""
    root = repository.root
    trees = {side: Worktree(side, root, root, repository.commit("HEAD"), side) for side in ("base", "head")}
    runner = PairRunner(
        repository=repository,
        settings=quick_settings(renames={"old": "new"}, **settings),
        workspace=root,
        worktrees=trees,
        agent_path=Path("plugin"),
        rng=random.Random(1),
        gpu=None,
    )
    suites = CollectedSuites({"base": base, "head": head})
    context = GateContext(runner=runner, suites=suites, started_at=time.monotonic())
    return build_report(context, state, "perfsuite gate", 1)


def kept(name: str) -> list[Verdict]:
    return [Verdict(name, "time", Outcome.KEPT, "no change")]


def test_the_report_includes_tests_without_a_verdict(repository: Repository) -> None:
    report = report_of(
        repository,
        collected("t", "u"),
        collected("t", "u"),
        GateState(node_verdicts={NodeId("t"): kept("t")}),
    )
    assert outcomes(report) == {"t": Outcome.KEPT, "u": Outcome.ERROR}
    assert (workload_named(report, "u").file, workload_named(report, "u").line) == ("test_a.py", 7)
    assert report.exit_code == 12


def test_the_report_includes_judged_tests_once(repository: Repository) -> None:
    """The negative control: pairs of workloads, skipped, excluded and renamed tests are judged."""
    nodes = ("t", "race", "skipped", "excluded")
    race = WorkloadName("race::plain")
    report = report_of(
        repository,
        collected("old", *nodes),
        collected("new", *nodes),
        GateState(
            verdicts={WorkloadName("excluded::plain"): kept("excluded::plain")},
            node_verdicts={NodeId(name): kept(name) for name in ("t", "new")},
            workloads={
                race: WorkloadState(race, NodeId("race"), log_ratios=[0.0] * 6, standard_errors=[0.001] * 6)
            },
            skipped={NodeId("skipped"): "no camera"},
            excluded_nodes={NodeId("excluded")},
        ),
    )
    assert {workload.name for workload in report.workloads} == {"t", "new", "race::plain", "excluded::plain"}
    assert report.exit_code in {0, 10}


def test_a_quarantine_is_said_beside_what_it_covers(repository: Repository) -> None:
    counter = Verdict("t", "casts", Outcome.REGRESSED, "1 -> 2 (+1)", evidence="the same in 10 pairs")
    failure = Verdict("u", "time", Outcome.ERROR, "failed on head")
    report = report_of(
        repository,
        collected("t", "u", "v"),
        collected("t", "u", "v"),
        GateState(
            node_verdicts={
                NodeId("t"): [counter],
                NodeId("u"): [failure],
                NodeId("v"): [replace(counter, workload="v")],
            }
        ),
        quarantine=tuple(Exemption(test, "known", date(2030, 1, 31)) for test in ("t", "u")),
    )
    found = {verdict.workload: verdict for verdict in report.verdicts}
    assert found["t"].outcome is found["u"].outcome is Outcome.QUARANTINED
    assert found["t"].reason == "regressed: 1 -> 2 (+1)"
    assert found["t"].evidence == "the same in 10 pairs; quarantined until 2030-01-31: known"
    assert found["u"].explanation == "error: failed on head; quarantined until 2030-01-31: known"
    assert found["v"] == replace(counter, workload="v"), "no quarantine covers it"


def test_a_crash_on_base_alone_is_an_error_and_not_new() -> None:
    finding = judge_outcomes(NodeId("t"), {"base": NodeOutcome("died", "signal SIGSEGV")}, is_on_base=False)
    assert finding.verdict is not None
    assert finding.verdict.outcome is Outcome.ERROR
