"""The slower commit is found with the fewest gates."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from perfsuite.errors import NothingMeasuredError, UsageError
from perfsuite.gate import bisect as bisect_module
from perfsuite.gate.bisect import CommitStatus, bisect, commits_between, find_first_bad, narrow_settings
from perfsuite.gate.git import Repository
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import Project, jobs, quick_settings, src_layout
from tests.report.sample_reports import make_gate, make_workload


@pytest.mark.parametrize("length", [1, 2, 3, 8, 31])
def test_every_culprit_is_found_in_the_fewest_gates(length: int) -> None:
    commits = [f"{n:03}" for n in range(length)]
    for culprit in commits:

        def judge(commit: str, culprit: str = culprit) -> CommitStatus:
            return CommitStatus.BAD if commit >= culprit else CommitStatus.GOOD

        result = find_first_bad(commits, judge)
        assert result.suspects == (culprit,)
        assert result.gates <= math.ceil(math.log2(length)) if length > 1 else result.gates == 0


def test_commits_that_cannot_be_judged_stay_suspects() -> None:
    statuses = {
        "a": CommitStatus.GOOD,
        "b": CommitStatus.UNKNOWN,
        "c": CommitStatus.UNKNOWN,
        "d": CommitStatus.BAD,
    }
    assert find_first_bad("abcd", lambda commit: statuses[commit]).suspects == ("b", "c", "d")


def test_the_slower_commit_is_found(project: Project) -> None:
    good = project.commit(src_layout())
    project.commit({"README": "1"})
    culprit = project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    project.commit({"README": "2"})
    settings = quick_settings(
        harness="base", pytest_args=("benchmarks/test_jobs.py::test_decode",), alpha=0.3, max_pairs=2
    )
    result, whole = bisect(settings, good, "HEAD", project.root, print)
    assert result.suspects == (culprit,)
    assert result.gates == 3
    assert whole.exit_code == 1


def test_an_interrupted_bisection_reports_the_remaining_commits(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = [project.commit({"README": str(number)}) for number in range(9)]
    slower, progress = make_gate(make_workload("t", Outcome.REGRESSED, 0.1)), list[str]()
    reports = iter([slower, slower, replace(slower, interrupted=True)])
    monkeypatch.setattr(bisect_module, "gate", lambda *_, **__: next(reports))
    with pytest.raises(KeyboardInterrupt):
        bisect(quick_settings(), commits[0], "HEAD", project.root, progress.append)
    assert progress[-1] == f"interrupted; 4 commits are left, {commits[1][:12]} to {commits[4][:12]}"


@pytest.mark.parametrize("slowdown", [0.02, 0.5, 1.9, 2.0, 3.0, 12.0, 1e6])
def test_a_slowdown_of_any_size_is_narrowed(slowdown: float) -> None:
    settings = narrow_settings(quick_settings(), make_gate(make_workload("t", Outcome.REGRESSED, slowdown)))
    assert settings.tolerance < min(slowdown, 1)
    assert settings.tolerance < settings.mde


def test_a_range_without_commits_is_refused(project: Project) -> None:
    project.commit(src_layout())
    project.commit({"README": "1"})
    repository = Repository.at(project.root)
    with pytest.raises(UsageError, match="no commit in between"):
        commits_between(repository, repository.commit("HEAD"), repository.commit("HEAD~1"))


def test_ends_that_do_not_differ_are_an_error(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    good, _ = project.commit({"README": "1"}), project.commit({"README": "2"})
    same = make_gate(make_workload("t", Outcome.KEPT, 0.0))
    monkeypatch.setattr(bisect_module, "gate", lambda *_, **__: same)
    with pytest.raises(NothingMeasuredError, match="expected a regression"):
        bisect(quick_settings(), good, "HEAD", project.root, print)
