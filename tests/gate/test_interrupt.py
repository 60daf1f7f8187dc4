"""Ended in the middle, by Ctrl-C or by a CI that cancels: what was judged is reported, and nothing stays."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perfsuite.gate.bisect import bisect
from perfsuite.gate.gate import gate
from perfsuite.gate.turns import ProcessPair
from perfsuite.judge.reports import GateReport
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import PYTEST_ARGS, Project, jobs, outcomes, quick_settings, src_layout
from tests.gate.test_workspace import leftovers

# Tests that run in the background of a shell are started deaf to Ctrl-C.
COMMAND = """
import signal, sys
from perfsuite.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
SLOWER = {"src/toy/jobs.py": jobs(decode=0.0012)}


@pytest.fixture
def ready(project: Project) -> Project:
    project.commit(src_layout())
    project.commit(SLOWER)
    return project


def interrupted_at(line: str, project: Project, **more: object) -> GateReport:
    """A gate in which somebody presses Ctrl-C when this is told."""

    def tell(told: str) -> None:
        if told.startswith(line):
            raise KeyboardInterrupt

    return gate(quick_settings(**more), project.root, on_progress=tell)


def test_while_it_counts_nothing_is_judged_and_nothing_is_green(ready: Project) -> None:
    report = interrupted_at("counting", ready)
    assert outcomes(report) == {"test_decode": Outcome.UNCLEAR, "test_resize": Outcome.UNCLEAR}
    assert report.exit_code == 130
    assert report.headline == "interrupted; 2 unclear"
    assert "interrupted after 0 pairs" in report.notes[-1]


def test_between_pairs_what_they_showed_is_said(ready: Project) -> None:
    report = interrupted_at("pair 2", ready, max_pairs=9)
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}
    assert report.pairs == 2
    assert report.exit_code == 130


def test_within_a_pair_the_pairs_before_it_count(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    served, turns = 0, ProcessPair.take_turns

    def third_time(self: ProcessPair, *words: Any) -> Any:
        nonlocal served
        served += 1
        if served == 3:
            raise KeyboardInterrupt
        return turns(self, *words)

    monkeypatch.setattr(ProcessPair, "take_turns", third_time)
    report = ready.gate()
    assert (report.pairs, report.interrupted) == (1, True)
    assert [len(found.log_ratios) for found in report.workloads] == [1, 1]
    assert set(outcomes(report).values()) == {Outcome.UNCLEAR}


def test_an_interrupted_gate_is_no_answer_of_a_bisect(
    ready: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: ProcessPair, *words: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(ProcessPair, "take_turns", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bisect(quick_settings(harness="base"), "HEAD~1", "HEAD", ready.root, print)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("moment", "words", "reported"),
    [("base: preparing", ["--prepare", "sleep 600"], False), ("pair 1", [], True)],
    ids=["preparing", "in pairs"],
)
def test_the_command_cleans_up_and_reports(
    ready: Project, tmp_path: Path, number: int, moment: str, words: list[str], reported: bool
) -> None:
    command = [sys.executable, "-c", COMMAND, "gate", "--base", "HEAD~1", "--head", "HEAD", *words]
    command += [
        "--max-pairs",
        "99",
        "--time-budget",
        "1h",
        "--report",
        str(tmp_path / "report"),
        "--",
        *PYTEST_ARGS,
    ]
    with subprocess.Popen(
        command, cwd=ready.root, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        told = next(line for line in run.stderr if moment in line)
        assert moment in told
        run.send_signal(number)
        out, err = run.communicate()
    assert run.returncode == 130
    assert "Traceback" not in err
    assert ("interrupted; " in out) == reported
    assert ("interrupted before anything was judged" in err) != reported
    assert leftovers(ready, tmp_path / "tmp") == []
    if reported:
        found = json.loads((tmp_path / "report" / "gate.json").read_text())
        assert found["interrupted"] is True
        assert found["exit_code"] == 130
        assert found["pairs"] >= 1
