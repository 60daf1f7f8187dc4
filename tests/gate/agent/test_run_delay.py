"""Waits for a core are subtracted from a call of one thread, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest

from perfsuite.gate.agent.benchmark_call import BenchmarkCall
from perfsuite.gate.agent.run_delay import RunDelayClock, TurnWaits, without_waits
from perfsuite.gate.agent.worker import AgentWorker
from tests.gate.agent.test_worker import CONTINUE, TURN, FakeConnection

CALLER = threading.get_native_id()
counts_waits = pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="this kernel counts no waits for a core"
)


class Machine:
    """A wall clock, and a thread that may wait for a core in the middle of a call."""

    def __init__(self, waits_seconds: list[float]) -> None:
        self.now = self.waited = 0.0
        self._waits_seconds = iter(waits_seconds)

    def work(self, seconds: float) -> None:
        wait = next(self._waits_seconds)
        self.now += seconds + wait
        self.waited += wait

    def seconds(self) -> float:
        return self.waited


def planted_sample(waits_seconds: list[float], is_subtracted: bool) -> float:
    """Seconds per call of one sample of calls of 5 ms that wait this long."""
    machine = Machine(waits_seconds)
    call = BenchmarkCall(lambda: machine.work(0.005), timer=lambda: machine.now)
    waits = cast(RunDelayClock, machine) if is_subtracted else None
    return call.sample(len(waits_seconds), waits)


@pytest.mark.parametrize("waits_seconds", [[0.0], [0.03], [0.0, 0.012, 0.0], [0.03, 0.03, 0.03, 0.0]])
def test_a_sample_is_the_time_in_which_the_call_could_run(waits_seconds: list[float]) -> None:
    assert planted_sample(waits_seconds, is_subtracted=True) == pytest.approx(0.005)
    longer = 0.005 + sum(waits_seconds) / len(waits_seconds)
    assert planted_sample(waits_seconds, is_subtracted=False) == pytest.approx(longer)


@pytest.mark.parametrize("elapsed", [0.0, 1e-9, 0.005])
@pytest.mark.parametrize("waited", [-1.0, 0.0, 1e-9, 0.005, 1e9])
def test_no_time_becomes_negative_or_zero_by_a_wait(elapsed: float, waited: float) -> None:
    """A wait may lie between the readings of the two clocks; a thread that ends counts from 0 again."""
    assert min(elapsed, 1e-12) <= without_waits(elapsed, waited) <= elapsed


# Prints the seconds that a thread waited for a core, of those that passed while it and another one shared it,
# and the same for sleep and for waiting for another thread.
SHARED_CORE = """
import os, threading, time
from perfsuite.gate.agent.run_delay import RunDelayClock

os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
clock = RunDelayClock(threading.get_native_id())

def share(work):
    begin, before = time.perf_counter(), clock.seconds()
    work()
    return (clock.seconds() - before) / (time.perf_counter() - begin)

def spin():
    until = time.thread_time() + 0.3
    while time.thread_time() < until:
        pass

child = os.fork()
if not child:
    while True:
        pass
shares = [share(spin)]
os.kill(child, 9)
os.waitpid(child, 0)
waiting = threading.Event()
shares += [share(lambda: time.sleep(0.3)), share(lambda: waiting.wait(0.3))]
print(*shares)
"""


@counts_waits
def test_the_kernel_counts_waits_for_a_core_and_neither_sleep_nor_locks() -> None:
    done = subprocess.run([sys.executable, "-c", SHARED_CORE], capture_output=True, check=True, text=True)
    shared, asleep, locked = map(float, done.stdout.split())
    assert shared > 0.3, "half of the time, and more where others use the core as well"
    assert asleep < shared / 2 > locked


def test_a_thread_that_has_ended_has_no_waits() -> None:
    clock = RunDelayClock(2**22 + 1)
    assert clock.seconds() == 0.0
    clock.close()


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@counts_waits
def test_the_files_of_a_turn_are_closed() -> None:
    before = open_files()
    with TurnWaits([CALLER, CALLER]) as waits:
        assert open_files() == before + 2
        assert waits.longest_share() >= 0
    assert open_files() == before


def other_clock() -> float:
    return time.process_time()


@pytest.mark.parametrize(
    ("busy_threads", "cores", "timer", "is_subtracted", "is_reported"),
    [
        ([CALLER], [0], time.perf_counter, True, False),
        ([CALLER, CALLER], [0, 1], time.perf_counter, False, True),
        ([CALLER, CALLER], [], time.perf_counter, False, False),  # more threads than cores
        ([], [], time.perf_counter, False, False),  # unknown
        ([CALLER], [0], other_clock, False, False),  # it may not count waits
    ],
)
def test_waits_are_subtracted_from_one_thread_and_reported_of_several(
    monkeypatch: pytest.MonkeyPatch,
    busy_threads: list[int],
    cores: list[int],
    timer: Any,
    is_subtracted: bool,
    is_reported: bool,
) -> None:
    monkeypatch.setattr("perfsuite.gate.agent.worker.CorePins.pin", lambda self, threads, cores: None)
    monkeypatch.setattr(TurnWaits, "longest_share", lambda self: 0.4)
    subtracted = []
    sample = BenchmarkCall.sample

    def record(self: BenchmarkCall, calls: int, waits: RunDelayClock | None = None) -> float:
        subtracted.append(waits is not None)
        return sample(self, calls, waits)

    monkeypatch.setattr(BenchmarkCall, "sample", record)
    connection = FakeConnection(TURN | {"cores": cores}, CONTINUE)
    worker = AgentWorker(connection)
    worker._busy_threads = busy_threads
    worker.serve("t", "t", BenchmarkCall(int, timer=timer))
    assert subtracted[-1] is is_subtracted
    assert connection.sent[-1]["waited_share"] == (0.4 if is_reported else 0.0)
