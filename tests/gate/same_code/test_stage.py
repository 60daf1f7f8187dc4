"""A gate keeps what runs the same code on both sides, without timing it."""

from __future__ import annotations

from perfsuite.judge.verdict import Outcome
from tests.gate.projects import Project, flat_layout, jobs, outcomes, src_layout, workload_named


def test_a_benchmark_whose_code_is_the_same_is_kept_and_not_timed(project: Project) -> None:
    project.commit(src_layout())
    project.commit({"src/toy/jobs.py": jobs(decode=0.0005)})
    report = project.gate(time_everything=False)
    assert outcomes(report) == {"test_decode": Outcome.IMPROVED, "test_resize": Outcome.KEPT}
    same, changed = workload_named(report, "test_resize"), workload_named(report, "test_decode")
    assert [verdict.reason for verdict in same.verdicts] == ["the same code ran"]
    assert not same.log_ratios
    assert changed.log_ratios
    assert changed.timing_reason == "src/toy/jobs.py: decode differs"


def test_everything_is_timed_where_the_user_asks_for_it(project: Project) -> None:
    project.commit(src_layout())
    project.commit({"README.md": "more"})
    report = project.gate(time_everything=True)
    assert all(workload.log_ratios and not workload.timing_reason for workload in report.workloads)


def test_a_commit_without_code_runs_no_timed_pair(project: Project) -> None:
    project.commit(flat_layout())
    project.commit({"README.md": "more", "toy/jobs.py": jobs() + "\n# a comment\n"})
    report = project.gate(time_everything=False)
    assert report.pairs == 0
    assert report.exit_code == 0
    assert {verdict.reason for verdict in report.verdicts} == {"the same code ran"}
