"""Head cannot loosen the rules that it is judged by: base's hold, and the report names what head changes."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from perfsuite.cli import main
from perfsuite.gate.project_settings import parse_project_settings, with_base_rules
from perfsuite.judge import machine_fitness
from tests.gate.projects import BENCHMARKS, Project, jobs, src_layout

TODAY = date(2026, 11, 21)
LOOSE = "[tool.perfsuite.gate]\ntolerance = 0.5\nmde = 0.9\n"
ENTRY = '[[tool.perfsuite.gate.quarantine]]\ntest = "t"\nreason = "r"\nexpires = {}\n'
ONE_BENCHMARK = BENCHMARKS.partition("def test_resize")[0]
QUICK = ["--alpha", "0.6", "--max-pairs", "1", "--time-budget", "1h", "--hang-timeout", "600"]
PYTEST = ["--", "-p", "pytest_benchmark.plugin"]


def applied(base: str, head: str) -> tuple[dict[str, Any], str]:
    settings, notes = with_base_rules(
        parse_project_settings(head.encode(), "head"), parse_project_settings(base.encode(), "base"), TODAY
    )
    return settings, " ".join(notes)


def test_the_rules_of_base_hold_where_they_differ() -> None:
    settings, note = applied("[tool.perfsuite.gate]\nalpha = 0.02\n", LOOSE)
    assert settings["alpha"] == 0.02
    assert "tolerance" not in settings
    assert "alpha, tolerance, mde" in note
    assert "base's rules were applied" in note


def test_equal_rules_need_no_note() -> None:
    """The negative control."""
    assert applied(LOOSE, LOOSE)[1] == ""


def test_a_quarantine_that_head_adds_does_not_hold() -> None:
    settings, note = applied("", ENTRY.format("2027-01-01"))
    assert settings["quarantine"] == ()
    assert "quarantine" in note


def test_renames_and_shared_files_describe_head() -> None:
    head = '[tool.perfsuite.gate]\nshare = ["images"]\nrenames = {"a" = "b"}\n'
    settings, note = applied("", head)
    assert (settings["share"], settings["renames"], note) == (("images",), {"a": "b"}, "")


def test_an_expired_entry_of_base_is_left_out() -> None:
    """Refusing it would refuse the change that renews it too."""
    settings, note = applied(ENTRY.format("2026-01-01"), ENTRY.format("2027-01-01"))
    assert settings["quarantine"] == ()
    assert "quarantine" in note


@pytest.fixture
def slower_project(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose head is a fifth slower and allows half."""
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(machine_fitness, "NULL_PAIRS", 2)
    files = src_layout(**{"benchmarks/test_jobs.py": ONE_BENCHMARK})
    project.commit(files)
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012), "pyproject.toml": LOOSE})
    return project


def test_a_head_that_loosens_its_tolerance_is_still_regressed(
    slower_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["gate", "--base", "HEAD~1", "--head", "HEAD", *QUICK]
    assert main([*words, *PYTEST]) == 1
    assert "head changes these rules in pyproject.toml: tolerance, mde" in capsys.readouterr().out


def test_a_user_may_apply_the_rules_of_head(
    slower_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["gate", "--base", "HEAD~1", "--head", "HEAD", "--rules", "head", *QUICK]
    assert main([*words, *PYTEST]) != 1
    assert "head changes these rules" not in capsys.readouterr().out


def test_a_marker_that_head_loosens_does_not_hold(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(machine_fitness, "NULL_PAIRS", 2)
    project.commit(src_layout(**{"benchmarks/test_jobs.py": ONE_BENCHMARK}))
    marked = ONE_BENCHMARK.replace("def test_decode", "@pytest.mark.tolerance(0.5)\ndef test_decode")
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012), "benchmarks/test_jobs.py": marked})
    assert main(["gate", "--base", "HEAD~1", "--head", "HEAD", *QUICK, *PYTEST]) == 1
    assert "head changes mark.tolerance of 1 tests" in " ".join(capsys.readouterr().out.split())


def test_settings_of_base_that_are_wrong_are_a_usage_error(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    project.commit(src_layout(**{"pyproject.toml": "[tool.perfsuite.gate]\nalpha = 5\n"}))
    project.commit({"pyproject.toml": ""})
    assert main(["gate", "--base", "HEAD~1", "--head", "HEAD", *PYTEST]) == 2
    error = capsys.readouterr().err
    assert "HEAD~1:pyproject.toml: [tool.perfsuite.gate] alpha: 5, expected" in error
    assert "--rules head" in error
