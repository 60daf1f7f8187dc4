"""The worker serves the gate's commands for one workload."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from perfsuite.gate.agent import worker
from perfsuite.gate.agent.benchmark_call import BenchmarkCall
from perfsuite.gate.agent.connection import GateConnection, Message
from perfsuite.gate.agent.worker import MAX_RECORDED_CALLS, AgentWorker
from perfsuite.measure.counters import registry
from perfsuite.measure.counters.registry import CallCounts


class FakeConnection(GateConnection):
    """A connection on which the gate sends these commands."""

    def __init__(self, *commands: Message) -> None:
        self._commands = iter(commands)
        self.sent: list[Message] = []

    def send(self, **message: Any) -> None:
        self.sent.append(message)

    def receive(self) -> Message:
        return next(self._commands)


TURN = {
    "command": "turn",
    "seconds": 0.001,
    "calls": 1,
    "settle_rounds": 0,
    "cores": [],
    "idle_wait_seconds": 0.0,
    "wait_until_idle": False,
}
CONTINUE = {"command": "continue"}


@pytest.mark.parametrize(
    ("command", "event"),
    [
        ({"command": "warm_up"}, "warmed_up"),
        (TURN, "turn_ended"),
        ({"command": "count"}, "counted"),
        ({"command": "call"}, "called"),
        ({"command": "dance"}, "unknown_command"),
    ],
)
def test_each_command_is_answered_with_one_event(command: Message, event: str) -> None:
    connection = FakeConnection(command, CONTINUE)
    AgentWorker(connection).serve("t", "t", BenchmarkCall(int))
    assert [message["event"] for message in connection.sent] == ["waiting", event]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system pins no threads")
@pytest.mark.parametrize("raises", [False, True])
def test_the_thread_stays_on_its_core_from_the_first_turn_to_the_last(raises: bool) -> None:
    before = os.sched_getaffinity(0)
    seen: list[set[int]] = []

    class Looking(FakeConnection):
        def receive(self) -> Message:
            seen.append(os.sched_getaffinity(0))
            return super().receive()

    def call() -> None:
        if raises and len(seen) == 3:
            raise LookupError

    turn = TURN | {"cores": [max(before)]}
    agent = AgentWorker(Looking(turn, turn, turn, CONTINUE))
    agent._busy_threads = [threading.get_native_id()]
    with pytest.raises(LookupError) if raises else nullcontext():
        agent.serve("t", "t", BenchmarkCall(call))
    assert seen[:3] == [before, {max(before)}, {max(before)}]
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("call_seconds", "threads", "ends_at"),
    [
        (lambda now: 0.001, [1], 0.006),  # in the second window of 3 ms, nothing is faster
        (lambda now: 0.001 * (1 - 10 * now), [1], 0.05),  # it still becomes faster
        (lambda now: 0.001, [1, 2], 0.05),  # several threads
        (lambda now: 0.2, [1], 0.2),  # one call is longer than all of it
    ],
)
def test_a_call_is_warm_when_it_becomes_no_faster(
    call_seconds: Callable[[float], float],
    threads: list[int],
    ends_at: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = -call_seconds(0.0)  # of the first call, which is made before any command

    def call() -> None:
        nonlocal now
        now += call_seconds(max(0.0, now))

    monkeypatch.setattr(worker, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(worker, "busy_threads", lambda before, after, elapsed: threads)
    connection = FakeConnection({"command": "warm_up"}, CONTINUE)
    AgentWorker(connection).serve("t", "t", BenchmarkCall(call, timer=lambda: now))
    assert ends_at <= now < ends_at + 0.005  # a window
    assert connection.sent[1]["threads"] == len(threads)


def test_kernels_and_why_counters_are_missing_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = CallCounts({"casts": 1}, kernels={"kernel: add": 2}, missing="a blind profiler")
    monkeypatch.setattr(registry, "count_call", lambda call: counted)
    monkeypatch.setattr(worker, "torch_compile_counts", dict)
    connection = FakeConnection({"command": "count"}, CONTINUE)
    AgentWorker(connection).serve("t", "t", BenchmarkCall(int))
    [_, message] = connection.sent
    assert message["counts"] == [{"casts": 1, "kernel: add": 2}] * 2
    assert message["missing"] == "a blind profiler"


def test_an_older_perfsuite_in_the_gated_project_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "count_call", lambda call: SimpleNamespace(values={"casts": 1}))
    monkeypatch.setattr(worker, "torch_compile_counts", dict)
    connection = FakeConnection({"command": "count"}, CONTINUE)
    AgentWorker(connection).serve("t", "t", BenchmarkCall(int))
    assert connection.sent[1] == {"event": "counted", "counts": [{"casts": 1}] * 2, "missing": ""}


@pytest.mark.parametrize(("command", "is_counted"), [("count", True), ("call", False)])
def test_a_recording_makes_calls_and_counts_none(
    command: str, is_counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[object] = []

    def count_call(call: Callable[[], object]) -> CallCounts:
        counted.append(call())
        return CallCounts({})

    monkeypatch.setattr(worker, "RECORDED_SECONDS", 600.0)
    monkeypatch.setattr(registry, "count_call", count_call)
    calls: list[None] = []
    agent = AgentWorker(FakeConnection({"command": command}, CONTINUE))
    agent.is_recorded = True
    agent.serve("t", "t", BenchmarkCall(lambda: calls.append(None)))
    assert len(calls) - len(counted) == 2 + MAX_RECORDED_CALLS, "the first, the one in eager mode, the rest"
    assert bool(counted) is is_counted


def test_an_import_error_of_the_benchmark_is_not_taken_for_missing_counters() -> None:
    calls = 0

    def fail_when_counted() -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise ImportError("no camera driver")

    worker = AgentWorker(FakeConnection({"command": "count"}, CONTINUE))
    with pytest.raises(ImportError, match="no camera driver"):
        worker.serve("t", "t", BenchmarkCall(fail_when_counted))
