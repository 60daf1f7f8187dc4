"""Counters that differ from process to process do not accuse; a true difference is found."""

from __future__ import annotations

from typing import Any

import pytest

from perfsuite.gate import confirm_counters
from perfsuite.judge.gate_report import GateReport
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import Project, src_layout, workload_named

WORKLOADS = 8
JOBS = """
import os

from toy.clock import work

DRAWS = [byte % 2 for byte in os.urandom({workloads})]  # another one in every process


def opens(number):
    for _ in range(DRAWS[number]):
        open(os.devnull).close()
    work(0.001)


def opens_always():
    for _ in range({always}):
        open(os.devnull).close()
    work(0.001)
"""
BENCHMARKS = """
import pytest
from toy import clock, jobs

pytestmark = pytest.mark.benchmark(timer=clock.now)


@pytest.mark.parametrize("number", range({workloads}))
def test_draws(benchmark, number):
    benchmark(jobs.opens, number)


def test_always(benchmark):
    benchmark(jobs.opens_always)
"""


def gate_of(project: Project, head: dict[str, str], **settings: Any) -> GateReport:
    """A gate of a project whose workloads draw what they do at import against one more commit."""
    files = {
        "src/toy/jobs.py": JOBS.format(workloads=WORKLOADS, always=1),
        "benchmarks/test_jobs.py": BENCHMARKS.format(workloads=WORKLOADS),
    }
    project.commit(src_layout(**files))
    project.commit(head)
    return project.gate(**settings)


def test_a_commit_of_the_readme_alone_is_not_accused(project: Project) -> None:
    """In the first pair, all eight draws agree only once in 256 gates."""
    report = gate_of(project, {"README.md": "Read me.\n"}, alpha=0.01, max_pairs=8)
    on_counters = [verdict for verdict in report.verdicts if verdict.metric != "time"]
    assert {verdict.outcome for verdict in on_counters} <= {Outcome.VARIES}
    reason = "differs between runs of the same code (0, 1): shown, does not gate"
    assert {verdict.reason for verdict in on_counters} <= {reason}
    assert report.count(Outcome.REGRESSED) == 0


def test_one_more_opened_file_beside_them_is_found(project: Project) -> None:
    report = gate_of(project, {"src/toy/jobs.py": JOBS.format(workloads=WORKLOADS, always=2)})
    [verdict] = [each for each in workload_named(report, "test_always").verdicts if each.metric != "time"]
    assert (verdict.metric, verdict.outcome) == ("opened_files", Outcome.REGRESSED)
    assert verdict.explanation.startswith("1 -> 2 (+1), the same in ")


def test_without_time_to_confirm_a_difference_is_unclear_and_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirm_counters, "TIME_SHARE", 0.0)
    head = {"src/toy/jobs.py": JOBS.format(workloads=WORKLOADS, always=2)}
    report = gate_of(project, head)
    [verdict] = [each for each in workload_named(report, "test_always").verdicts if each.metric != "time"]
    assert verdict.outcome is Outcome.UNCLEAR
    assert "not confirmed" in verdict.evidence
    assert "--time-budget" in verdict.evidence
