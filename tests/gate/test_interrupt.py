"""Interrupted by Ctrl-C or by a CI: what was judged is reported, and nothing is left behind."""

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
from perfsuite.gate.process_pair import ProcessPair
from perfsuite.judge.gate_report import GateReport
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import PYTEST_ARGS, Project, jobs, outcomes, quick_settings, src_layout
from tests.gate.test_workspace import leftovers

# A shell starts background processes with SIGINT ignored.
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


def interrupted_at(line: str, project: Project, **settings: Any) -> GateReport:
    """A gate that Ctrl-C interrupts when its progress reaches this line."""

    def interrupt(progress: str) -> None:
        if progress.startswith(line):
            raise KeyboardInterrupt

    return gate(quick_settings(**settings), project.root, on_progress=interrupt)


def test_interrupted_while_counting_everything_is_unclear(ready: Project) -> None:
    report = interrupted_at("counting", ready)
    assert outcomes(report) == {"test_decode": Outcome.UNCLEAR, "test_resize": Outcome.UNCLEAR}
    assert report.exit_code == 130
    assert report.headline == "interrupted; 2 unclear"
    assert "interrupted after 0 pairs" in report.notes[-1]


def test_interrupted_between_pairs_their_verdicts_are_reported(ready: Project) -> None:
    report = interrupted_at("pair 3", ready, max_pairs=9)
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}
    assert report.pairs == 3
    assert report.exit_code == 130


def test_interrupted_within_a_pair_the_pairs_before_it_count(
    ready: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, take_turns = 0, ProcessPair.take_turns

    def interrupt_third_call(self: ProcessPair, *arguments: Any) -> Any:
        nonlocal served
        served += 1
        if served == 3:
            raise KeyboardInterrupt
        return take_turns(self, *arguments)

    monkeypatch.setattr(ProcessPair, "take_turns", interrupt_third_call)
    report = ready.gate()
    assert (report.pairs, report.interrupted) == (1, True)
    assert [len(workload.log_ratios) for workload in report.workloads] == [1, 1]
    assert set(outcomes(report).values()) == {Outcome.UNCLEAR}


def test_an_interrupted_gate_interrupts_the_bisection(
    ready: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: ProcessPair, *arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(ProcessPair, "take_turns", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bisect(quick_settings(harness="base"), "HEAD~1", "HEAD", ready.root, print)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("moment", "options", "is_reported"),
    [("base: preparing", ["--prepare", "sleep 600"], False), ("pair 1", [], True)],
    ids=["preparing", "in pairs"],
)
def test_the_interrupted_command_cleans_up_and_reports(
    ready: Project, tmp_path: Path, number: int, moment: str, options: list[str], is_reported: bool
) -> None:
    command = [sys.executable, "-c", COMMAND, "gate", "--base", "HEAD~1", "--head", "HEAD", *options]
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
        reached = next(line for line in run.stderr if moment in line)
        assert moment in reached
        run.send_signal(number)
        out, err = run.communicate()
    assert run.returncode == 130
    assert "Traceback" not in err
    assert ("interrupted; " in out) == is_reported
    assert ("interrupted before anything was judged" in err) != is_reported
    assert leftovers(ready, tmp_path / "tmp") == []
    if is_reported:
        report = json.loads((tmp_path / "report" / "gate.json").read_text())
        assert report["interrupted"] is True
        assert report["exit_code"] == 130
        assert report["pairs"] >= 1
