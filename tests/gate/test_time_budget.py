"""The time budget is looked at before every turn, so that slow calls exceed it by one at most."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from perfsuite.gate.gate_state import GateContext
from perfsuite.gate.pair_result import NodeId
from perfsuite.gate.process_pair import ProcessPair
from perfsuite.gate.run_pair import run_pair
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.side_process import SideProcess
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import Project, jobs, outcomes, src_layout

FAKE_SIDE = """
import json, os, socket
connection = socket.socket(fileno=int(os.environ["PERFSUITE_GATE_SOCKET"])).makefile("rwb", buffering=0)
EVENTS = {
    "run": {"event": "waiting", "node": "t", "name": "t"},
    "warm_up": {"event": "warmed_up", "seconds_per_call": 3.0, "threads": 0, "on_device": False},
    "turn": {"event": "turn_ended", "median": 3.0, "low": 3.0, "seconds_by_stage": {}, "waited_share": 0.0},
    "count": {"event": "counted", "counts": []},
    "continue": {"event": "session_finished", "shared_imports": []},
}
for line in connection:
    command = json.loads(line)["command"]
    print(command, flush=True)
    connection.write(json.dumps(EVENTS[command]).encode() + b"\\n")
"""


def spent_after(looks: int) -> Callable[[], bool]:
    """A budget that is spent after so many looks at the clock."""
    left = iter([False] * looks)
    return lambda: next(left, True)


def works(folder: Path) -> int:
    """How often a side was told to work."""
    text = "".join((folder / f"{side}.log").read_text() for side in ("base", "head"))
    return text.count("turn") + text.count("warm_up") + text.count("count")


@pytest.mark.parametrize("looks", [1, 2, 3, 4, 9])
def test_no_work_begins_after_the_budget_is_spent(looks: int, tmp_path: Path) -> None:
    command, environment = [sys.executable, "-c", FAKE_SIDE], dict(os.environ)
    with (
        SideProcess("base", command, environment, tmp_path, tmp_path / "base.log") as base,
        SideProcess("head", command, environment, tmp_path, tmp_path / "head.log") as head,
    ):
        pair = ProcessPair(
            base, head, TurnSchedule(min_turns=8, idle_wait_seconds=0), is_out_of_time=spent_after(looks)
        )
        result = run_pair(pair, [NodeId("t")])
    assert result.is_out_of_time
    assert result.workload_turns == [], "half of a workload is no evidence"
    assert works(tmp_path) == looks - 1, "one look is for the benchmark itself"


def test_with_time_the_pair_ends(tmp_path: Path) -> None:
    """The negative control."""
    command, environment = [sys.executable, "-c", FAKE_SIDE], dict(os.environ)
    with (
        SideProcess("base", command, environment, tmp_path, tmp_path / "base.log") as base,
        SideProcess("head", command, environment, tmp_path, tmp_path / "head.log") as head,
    ):
        pair = ProcessPair(base, head, TurnSchedule(min_turns=8, idle_wait_seconds=0))
        result = run_pair(pair, [NodeId("t")])
    assert not result.is_out_of_time
    assert len(result.workload_turns) == 1


def test_a_gate_whose_budget_ends_while_counting_compared_not_everything(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GateContext, "is_out_of_time", lambda self: True)
    project.commit(src_layout())
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    report = project.gate()
    assert outcomes(report) == {"test_decode": Outcome.ERROR, "test_resize": Outcome.ERROR}
    assert report.exit_code == 12
    assert "the time for the gate is spent" in report.verdicts[0].reason
