"""Turns: which side works when, on which cores, and what happens when the GPU is throttled."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from perfsuite.gate.pair_result import NodeId, WorkloadName
from perfsuite.gate.process_pair import ProcessPair
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.side_process import SideProcess, SideProcessError
from perfsuite.measure import gpu
from perfsuite.measure.measurement import GpuReadings

# A process that is no pytest: it answers every command.
FAKE_SIDE = """
import json, os, socket
connection = socket.socket(fileno=int(os.environ["PERFSUITE_GATE_SOCKET"])).makefile("rwb", buffering=0)
EVENTS = {
    "warm_up": {"event": "warmed_up", "seconds_per_call": 0.001, "threads": 0, "on_device": False},
    "turn": {"event": "turn_ended", "median": 1e-3, "low": 1e-3, "seconds_by_stage": {}, "waited_share": 0.0},
    "unexpected": {"event": "unknown_command", "command": "unexpected"},
}
for line in connection:
    connection.write(json.dumps(EVENTS[json.loads(line)["command"]]).encode() + b"\\n")
"""
SCHEDULE = TurnSchedule(min_turns=4, max_side_seconds=0.0, idle_wait_seconds=0.0, cooling_seconds=0.0)


@contextmanager
def side_processes(folder: Path, code: str = FAKE_SIDE) -> Iterator[tuple[SideProcess, SideProcess]]:
    command, environment = [sys.executable, "-c", code], dict(os.environ)
    with (
        SideProcess("base", command, environment, folder, folder / "base.log") as base,
        SideProcess("head", command, environment, folder, folder / "head.log") as head,
    ):
        yield base, head


def test_turns_alternate_abba_and_the_second_side_warms_up_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    waits: list[bool] = []
    send = SideProcess.send

    def record(self: SideProcess, **message: Any) -> None:
        sent.append(f"{self.side} {message['command']}")
        if message["command"] == "turn":
            waits.append(message["wait_until_idle"])
        send(self, **message)

    monkeypatch.setattr(SideProcess, "send", record)
    with side_processes(tmp_path) as (base, head):
        turns = ProcessPair(base, head, SCHEDULE).take_turns(WorkloadName("t"), NodeId("t"), 1.0)
    assert sent[:2] == ["head warm_up", "base warm_up"]
    order = "".join({"base turn": "A", "head turn": "B"}[entry] for entry in sent[2:])
    assert order == "ABBAABBA"
    assert waits == [True, False] * 4, "a side comes to rest before the other side works"
    assert len(turns.first_turns) == len(turns.second_turns) == 4


def test_a_dead_side_is_reported_with_the_end_of_its_output(tmp_path: Path) -> None:
    code = "print('out of memory', flush=True); raise SystemExit(9)"
    with (
        side_processes(tmp_path, code) as (base, head),
        pytest.raises(SideProcessError, match=r"(?s)base.*status 9.*out of m"),
    ):
        ProcessPair(base, head, SCHEDULE).collect()


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (40, "40")])  # 40 is a real-time signal
def test_a_side_that_a_signal_ends_is_reported_with_it(tmp_path: Path, number: int, name: str) -> None:
    with (
        side_processes(tmp_path, f"import os; os.kill(os.getpid(), {number})") as (base, head),
        pytest.raises(SideProcessError, match=f"base.*ended with signal {name}, expected"),
    ):
        ProcessPair(base, head, SCHEDULE).collect()


def test_a_silent_side_times_out(tmp_path: Path) -> None:
    schedule = TurnSchedule(hang_timeout_seconds=0.5)
    silent = "import time; time.sleep(60)"
    with (
        side_processes(tmp_path, silent) as (base, head),
        pytest.raises(SideProcessError, match="--hang-timeout"),
    ):
        ProcessPair(base, head, schedule).collect()
    assert base.process.poll() is not None
    assert head.process.poll() is not None


def test_an_unexpected_message_is_an_error(tmp_path: Path) -> None:
    with side_processes(tmp_path) as (base, head):
        pair = ProcessPair(base, head, SCHEDULE)
        base.send(command="unexpected")
        with pytest.raises(SideProcessError, match="sent 'unknown_command', expected 'turn_ended'"):
            pair._expect(base, "turn_ended")


@pytest.mark.parametrize(("throttled_turns", "taken"), [(0, 1), (1, 2), (2, 3), (99, 4)])
def test_a_throttled_turn_is_repeated_a_bounded_number_of_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, throttled_turns: int, taken: int
) -> None:
    turns = 0

    class FakeMonitor(gpu.GpuMonitor):
        def begin(self) -> None: ...

        def end(self) -> None:
            nonlocal turns
            turns += 1
            reasons = ("power cap",) if turns <= throttled_turns else ()
            self.readings = GpuReadings(
                medians={"utilization_percent": 90.0}, energy_joules=1.0, throttled=reasons
            )

    monkeypatch.setattr("perfsuite.gate.process_pair.GpuMonitor", FakeMonitor)
    with side_processes(tmp_path) as (base, head):
        turn = ProcessPair(base, head, SCHEDULE)._take_turn(base, True, calls=1, settle_rounds=0, cores=[])
    assert turns == taken
    assert turn.gpu is not None
    assert bool(turn.gpu.throttled) is (throttled_turns >= taken)


@pytest.mark.parametrize(
    ("threads", "schedule", "number"),
    [
        ([1, 1], TurnSchedule(), 1),
        ([2, 2], TurnSchedule(), 2),
        ([1, 2], TurnSchedule(), 2),
        ([3, 3], TurnSchedule(), 0),
        ([0, 0], TurnSchedule(), 0),
        ([0, 1], TurnSchedule(), 0),
        ([1, 1], TurnSchedule(pin=False), 0),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux pins threads to cores")
def test_each_busy_thread_gets_a_core_of_its_own(
    monkeypatch: pytest.MonkeyPatch, threads: list[int], schedule: TurnSchedule, number: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 6})
    no_process: Any = None
    for first_core in (0, 1, 63):
        pair = ProcessPair(no_process, no_process, schedule, first_core=first_core)
        cores = pair._cores(threads)
        assert len(cores) == len(set(cores)) == number
        assert set(cores) <= {4, 6}
