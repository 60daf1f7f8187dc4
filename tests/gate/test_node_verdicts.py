"""Tests that fail, die, hang, are skipped or run on one side only get a verdict of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfsuite.gate.messages import Message
from perfsuite.gate.node_verdicts import find_missing_and_new, judge_outcomes, uncollected
from perfsuite.gate.pair_result import CollectError, NodeId, NodeOutcome
from perfsuite.gate.side_process import SideProcess, SideProcessError
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import BENCHMARKS, Project, jobs, outcomes, src_layout

FRAGILE = (
    BENCHMARKS
    + """

def test_dies(benchmark):
    benchmark(jobs.dies)


def test_raises(benchmark):
    benchmark(jobs.raises)


@pytest.mark.skipif(jobs.NO_CAMERA, reason="no camera")
def test_camera(benchmark):
    benchmark(jobs.decode)


def test_brand_new(benchmark):
    benchmark(jobs.brand_new)
"""
)
SOUND = """
NO_CAMERA = False
def dies(): work(0.001)
def raises(): work(0.001)
"""
BROKEN = """
import os
NO_CAMERA = True
def dies(): os._exit(3)
def raises(): raise ValueError("cannot resize")
def brand_new(): work(0.001)
"""


def test_a_crash_is_an_error_and_never_a_regression(project: Project) -> None:
    before = FRAGILE.partition("def test_brand_new")[0]
    project.commit(src_layout(**{"src/toy/jobs.py": jobs() + SOUND, "benchmarks/test_jobs.py": before}))
    project.commit({"src/toy/jobs.py": jobs() + BROKEN, "benchmarks/test_jobs.py": FRAGILE})
    report = project.gate()
    assert outcomes(report) == {
        "test_decode": Outcome.KEPT,
        "test_resize": Outcome.KEPT,
        "test_dies": Outcome.ERROR,
        "test_raises": Outcome.ERROR,
        "test_camera": Outcome.MISSING,
        "test_brand_new": Outcome.NEW,
    }
    reasons = {workload.name.rpartition("::")[2]: workload.worst.reason for workload in report.workloads}
    assert "exit status 3" in reasons["test_dies"] or "died" in reasons["test_dies"]
    assert "cannot resize" in reasons["test_raises"]
    assert "no camera" in reasons["test_camera"]
    assert report.exit_code == 12


@pytest.mark.parametrize("side", ["base", "head"])
def test_a_device_without_memory_for_both_sides_is_said_to_be_too_small(side: str) -> None:
    detail = "E   torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 40.00 GiB."
    found = {"base": NodeOutcome("passed"), "head": NodeOutcome("passed")} | {
        side: NodeOutcome("failed", detail)
    }
    finding = judge_outcomes(NodeId("t"), found, is_on_base=True)
    assert finding.verdict is not None
    assert finding.verdict.outcome is Outcome.ERROR
    assert "CUDA out of memory" in finding.verdict.reason
    assert finding.verdict.reason.endswith("its memory must hold two of them")


def test_another_error_says_nothing_about_memory() -> None:
    found = {"base": NodeOutcome("passed"), "head": NodeOutcome("failed", "E   ValueError: boom")}
    finding = judge_outcomes(NodeId("t"), found, is_on_base=True)
    assert finding.verdict is not None
    assert finding.verdict.reason == "failed on head: ValueError: boom"


def test_a_side_that_dies_between_turns_does_not_block_the_other(project: Project) -> None:
    late = "\ncalls = 0\ndef dies():\n    global calls\n    calls += 1\n    work(0.001)\n"
    tests = BENCHMARKS + "\ndef test_dies(benchmark):\n    benchmark(jobs.dies)\n"
    project.commit(src_layout(**{"src/toy/jobs.py": jobs() + late, "benchmarks/test_jobs.py": tests}))
    project.commit({"src/toy/jobs.py": jobs() + late + "    if calls > 10: import os; os.abort()\n"})
    report = project.gate()
    assert outcomes(report)["test_dies"] is Outcome.ERROR
    assert outcomes(report)["test_decode"] is Outcome.KEPT


HANG = """
    import os, time
    from pathlib import Path
    Path(os.environ["TMPDIR"], "hangs").touch()
    time.sleep(3600)
"""


def test_a_hung_side_is_ended(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only head's silence counts, once the test hangs: a busy machine makes any side silent for a while."""
    hangs, receive = Path(os.environ["TMPDIR"], "hangs"), SideProcess.receive

    def wait_until_hung(process: SideProcess, timeout_seconds: float) -> Message:
        while True:
            try:
                return receive(process, 0.2)
            except SideProcessError as error:
                if error.cause != "hung" or (process.side == "head" and hangs.exists()):
                    hangs.unlink(missing_ok=True)
                    raise

    monkeypatch.setattr(SideProcess, "receive", wait_until_hung)
    project.commit(src_layout())
    project.commit({"src/toy/jobs.py": jobs().replace("    work(0.001)\n    return", HANG + "    return")})
    report = project.gate()
    assert outcomes(report) == {"test_decode": Outcome.ERROR, "test_resize": Outcome.KEPT}


def test_a_module_that_base_cannot_import_is_an_error_and_not_new(project: Project) -> None:
    project.commit(src_layout())
    test = "\ndef test_new(benchmark):\n    benchmark(thing)\n"
    new = "from toy.brand_new import thing\n" + BENCHMARKS + test
    project.commit({"benchmarks/test_jobs.py": new, "src/toy/brand_new.py": "def thing(): ...\n"})
    report = project.gate()
    assert outcomes(report) == {
        "test_decode": Outcome.ERROR,
        "test_resize": Outcome.ERROR,
        "test_new": Outcome.NEW,
    }
    assert "brand_new" in report.workloads[0].worst.reason
    assert report.exit_code == 12


def test_a_removed_benchmark_is_missing_and_a_renamed_one_is_not(project: Project) -> None:
    project.commit(src_layout())
    project.commit({"benchmarks/test_jobs.py": BENCHMARKS.replace("def test_resize", "def test_scale")})
    report = project.gate()
    assert outcomes(report) == {
        "test_decode": Outcome.KEPT,
        "test_scale": Outcome.KEPT,  # head's benchmarks run on base too
        "test_resize": Outcome.MISSING,
    }
    assert report.exit_code == 12
    renames = {"benchmarks/test_jobs.py::test_resize": "benchmarks/test_jobs.py::test_scale"}
    again = project.gate(harness="own", renames=renames)
    assert outcomes(again) == {"test_decode": Outcome.KEPT, "test_scale": Outcome.KEPT}


OUTCOMES = [
    ("passed", "passed", None, None),
    ("passed", "failed", Outcome.ERROR, None),
    ("failed", "passed", Outcome.ERROR, None),
    ("failed", "failed", Outcome.ERROR, None),
    ("passed", "died", Outcome.ERROR, None),
    ("passed", "hung", Outcome.ERROR, None),
    ("skipped", "skipped", None, "why"),
    ("xfailed", "skipped", None, "why"),
    ("passed", "skipped", Outcome.MISSING, None),
    ("skipped", "passed", Outcome.NEW, None),
]


@pytest.mark.parametrize(("base", "head", "outcome", "skipped"), OUTCOMES)
def test_every_pair_of_outcomes_has_a_finding(
    base: str, head: str, outcome: Outcome | None, skipped: str | None
) -> None:
    finding = judge_outcomes(
        NodeId("t"), {"base": NodeOutcome(base, "why"), "head": NodeOutcome(head, "why")}, is_on_base=True
    )
    assert (finding.verdict.outcome if finding.verdict else None) == outcome
    assert finding.skipped == skipped


def test_a_test_that_only_head_can_run_is_new() -> None:
    outcomes_by_side = {"base": NodeOutcome("failed", "E   no such function"), "head": NodeOutcome("passed")}
    finding = judge_outcomes(NodeId("t"), outcomes_by_side, is_on_base=False)
    assert finding.verdict is not None
    assert finding.verdict.outcome is Outcome.NEW


def test_missing_tests_and_collection_errors_are_distinguished() -> None:
    verdicts = find_missing_and_new(
        [NodeId("a.py::x"), NodeId("b.py::y"), NodeId("c.py::z")],
        [NodeId("a.py::n")],
        {"a.py::x": "a.py::n"},
        frozenset(),
        {"head": [CollectError("b.py", "ImportError: no module named b")]},
    )
    assert {verdict.workload: verdict.outcome for verdict in verdicts} == {
        "b.py::y": Outcome.ERROR,
        "c.py::z": Outcome.MISSING,
    }


def test_an_error_belongs_to_its_own_file_and_not_to_one_with_a_longer_name() -> None:
    error = CollectError("bench/a.py", "E   ImportError: x")
    on_base = [NodeId("bench/a.py::t"), NodeId("bench/a.pyx::t")]
    verdicts = find_missing_and_new(on_base, [], {}, frozenset(), {"head": [error]})
    assert {verdict.workload: verdict.outcome for verdict in verdicts} == {
        "bench/a.py::t": Outcome.ERROR,
        "bench/a.pyx::t": Outcome.MISSING,
    }


def test_a_file_that_head_cannot_collect_is_an_error_once_and_a_whole_side_is_not_a_file() -> None:
    errors = {
        "base": [CollectError("b.py", "SyntaxError: x")],
        "head": [
            CollectError("a.py::TestA", "TypeError: x"),
            CollectError("b.py", "SyntaxError: x"),
            CollectError("judged.py", "ImportError: x"),
            CollectError("", "head: died before it collected anything"),
        ],
    }
    verdicts = uncollected(errors, [NodeId("judged.py::t")], [])
    assert {verdict.workload: verdict.reason for verdict in verdicts} == {
        "a.py": "not collected on head: TypeError: x",
        "b.py": "not collected on both sides: SyntaxError: x",
    }
