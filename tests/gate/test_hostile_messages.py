"""What a side's process may write into its socket: nothing of it ends or hangs the gate."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

import pytest

from perfsuite.gate import process_pair, side_process
from perfsuite.gate.messages import MessageError, parse_message
from perfsuite.gate.pair_result import NodeId
from perfsuite.gate.process_pair import ProcessPair
from perfsuite.gate.run_pair import run_pair
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.side_process import SideProcess, SideProcessError
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import BENCHMARKS, Project, jobs, outcomes, src_layout

GOOD: dict[str, dict[str, object]] = {
    "collected": {
        "items": [{"id": "t.py::t", "file": "t.py", "line": 1, "tolerance": "x"}],
        "errors": [["t.py", "ImportError"]],
        "foreign_packages": [["toy", "/x"]],
        "modules_of_repository": [["toy", "x.py"]],
        "pytest_config": "",
        "shared_imports": ["numpy"],
    },
    "waiting": {"node": "t", "name": "t", "items": 2.0},
    "warmed_up": {"seconds_per_call": 0.0, "threads": 1, "on_device": False},
    "turn_ended": {"median": 0.1, "low": 0.1, "seconds_by_stage": {"read": 0.1}, "waited_share": 0.0},
    "counted": {"counts": [{"copies": 1}], "missing": "no torch"},
    "called": {},
    "test_ended": {"node": "t", "outcome": "passed", "detail": ""},
    "session_finished": {"shared_imports": []},
}
# Event, field, and a value that it cannot have.
FORGED = [
    ("collected", "items", 5),
    ("collected", "items", [5]),
    ("collected", "items", [{"id": 5, "file": "t.py", "line": 1}]),
    ("collected", "items", [{"id": "t", "file": None, "line": 1}]),
    ("collected", "items", [{"id": "t", "file": "t.py", "line": "x"}]),
    ("collected", "items", [{"id": "t", "file": "t.py"}]),
    ("collected", "errors", [1]),
    ("collected", "errors", ["t.py: ImportError"]),
    ("collected", "foreign_packages", [["toy"]]),
    ("collected", "modules_of_repository", [["toy"]]),
    ("collected", "pytest_config", "a\0b"),
    ("collected", "shared_imports", {"numpy": 1}),
    ("waiting", "node", None),
    ("waiting", "name", ["t"]),
    ("waiting", "items", 0),
    ("waiting", "items", -1.0),
    ("warmed_up", "seconds_per_call", "0.1"),
    ("warmed_up", "seconds_per_call", -0.1),
    ("warmed_up", "threads", 1.5),
    ("warmed_up", "on_device", 1),
    ("turn_ended", "median", None),
    ("turn_ended", "median", True),
    ("turn_ended", "median", 1e308),
    ("turn_ended", "median", 10**400),
    ("turn_ended", "seconds_by_stage", [1]),
    ("turn_ended", "seconds_by_stage", {"read": "x"}),
    ("turn_ended", "waited_share", -0.1),
    ("counted", "counts", [[1]]),
    ("counted", "counts", [{"copies": 1.5}]),
    ("counted", "counts", [{"copies": 10**100}]),
    ("test_ended", "outcome", "kept"),
    ("test_ended", "outcome", ["passed"]),
    ("test_ended", "detail", 5),
    ("session_finished", "shared_imports", None),
    ("session_finished", "unfinished_count", "x"),
]
GARBAGE = {
    "no JSON": b"hello\n",
    "no UTF-8": b"\xff\xfe\n",
    "empty": b"\n",
    "a number": b"5\n",
    "a list": b"[1]\n",
    "deep": b"[" * 200_000 + b"\n",
    "many digits": b'{"event": ' + b"9" * 10_000 + b"}\n",
    "not a number": b'{"event": "turn_ended", "median": NaN, "low": 1, "seconds_by_stage": {}}\n',
    "no event": b"{}\n",
    "an unknown event": b'{"event": "verdict", "outcome": "kept"}\n',
    "an event that is a list": b'{"event": ["collected"]}\n',
}
WRITES = """
import os, socket, sys, time
connection = socket.socket(fileno=int(os.environ["PERFSUITE_GATE_SOCKET"]))
{code}
time.sleep(600)
"""


def side(folder: Path, code: str) -> SideProcess:
    command = [sys.executable, "-c", WRITES.format(code=code)]
    return SideProcess("head", command, dict(os.environ), folder, folder / "head.log")


@pytest.mark.parametrize("event", GOOD)
def test_messages_of_the_agent_are_accepted(event: str) -> None:
    """The negative control."""
    line = json.dumps({"event": event, **GOOD[event]}).encode()
    assert parse_message(line)["event"] == event


@pytest.mark.parametrize(("event", "field", "value"), FORGED)
def test_a_forged_field_is_refused_by_name(event: str, field: str, value: object) -> None:
    line = json.dumps({"event": event, **GOOD[event], field: value}).encode()
    with pytest.raises(MessageError, match=f"{event}: {field} is .*, expected "):
        parse_message(line)


def test_a_missing_field_is_refused_by_name() -> None:
    with pytest.raises(MessageError, match="turn_ended: low is absent, expected a number of seconds"):
        parse_message(b'{"event": "turn_ended", "median": 1, "seconds_by_stage": {}}')


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_in_the_socket_is_an_error_of_that_side(case: str, tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(GARBAGE[case])
    with (
        side(tmp_path, "connection.sendall(open('garbage', 'rb').read())") as process,
        pytest.raises(SideProcessError, match=r"(?s)head: an invalid message: .*, expected "),
    ):
        process.receive(60)


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code = "while True: connection.sendall(b'x' * (1 << 20))"
    with side(tmp_path, code) as process, pytest.raises(SideProcessError, match="expected at most 64 MiB"):
        process.receive(600)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024  # KiB on Linux


def test_a_line_that_never_ends_hangs_nobody(tmp_path: Path) -> None:
    code = "while True: connection.sendall(b'x'); time.sleep(0.05)"
    with side(tmp_path, code) as process, pytest.raises(SideProcessError, match="silent for 1 s"):
        process.receive(1)


def test_a_side_that_reads_nothing_hangs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_process, "MAX_SEND_SECONDS", 0.5)
    with side(tmp_path, "") as process, pytest.raises(SideProcessError, match="read nothing"):
        process.send(command="run", nodes=["x" * 1000] * 10_000)


def test_endless_messages_end_the_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pair, "MAX_MESSAGES_PER_TEST", 10)
    code = (
        "while True: connection.sendall("
        """b'{"event": "test_ended", "node": "t", "outcome": "passed", "detail": ""}' + b'\\n')"""
    )
    with side(tmp_path, code) as head, side(tmp_path, code) as base:
        base.side = "base"
        pair = ProcessPair(base, head, TurnSchedule(hang_timeout_seconds=60))
        result = run_pair(pair, [NodeId("t")])
    assert "messages, expected at most" in result.abort_reason


FORGING_JOBS = (
    jobs()
    + """
import os, socket, stat
for descriptor in range(3, 64):
    try:
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            os.write(descriptor, {line!r})
    except OSError:
        pass
"""
)


@pytest.mark.parametrize(
    "line", [b"garbage\n", b'{"event": "turn_ended", "median": "x"}\n', b'{"event": "verdict"}\n']
)
def test_a_head_that_forges_messages_is_an_error_and_no_regression(project: Project, line: bytes) -> None:
    project.commit(src_layout(**{"benchmarks/test_jobs.py": BENCHMARKS.partition("def test_resize")[0]}))
    project.commit({"src/toy/jobs.py": FORGING_JOBS.format(line=line)})
    report = project.gate()
    assert report.exit_code == 12
    assert Outcome.REGRESSED not in outcomes(report).values()
    assert "invalid message" in str(report.notes) + str([v.reason for v in report.verdicts])
