from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from perfsuite.errors import UsageError
from perfsuite.measure.clock import (
    CountingClock,
    WallClock,
    clock_resolution_seconds,
    make_clock,
    wait_for_active_device,
)


class Device:
    """Works behind the caller's back, as a GPU does: `submit` returns at once, `wait` when all is done."""

    def __init__(self) -> None:
        self.done = 0
        self._asked = threading.Semaphore(0)
        self._idle = threading.Condition()
        self._waiting = 0
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self) -> None:
        with self._idle:
            self._waiting += 1
        self._asked.release()

    def wait(self) -> None:
        with self._idle:
            self._idle.wait_for(lambda: self._waiting == 0)

    def _work(self) -> None:
        while True:
            self._asked.acquire()
            with self._idle:
                self.done += 1
                self._waiting -= 1
                self._idle.notify_all()


class Tape:
    """Writes down in which order the clock waits and calls."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def note(self, event: str) -> Callable[[], None]:
        return lambda: self.events.append(event)


def test_the_device_is_idle_at_both_readings() -> None:
    tape = Tape()
    WallClock(tape.note("wait")).time_calls(tape.note("call"), 3)
    assert tape.events == ["wait", "call", "call", "call", "wait"]


def test_a_counting_clock_counts_all_calls_and_times_as_its_clock() -> None:
    tape = Tape()
    clock = CountingClock(WallClock(tape.note("wait")))
    clock.time_calls(tape.note("call"), 2)
    clock.time_calls(tape.note("call"), 1)
    clock.wait()
    assert clock.calls == tape.events.count("call") == 3
    assert tape.events == ["wait", "call", "call", "wait", "wait", "call", "wait", "wait"]


def test_the_clock_waits_until_the_device_has_finished() -> None:
    device = Device()
    WallClock(device.wait).time_calls(device.submit, 50)
    assert device.done == 50


def test_time_goes_forward() -> None:
    assert WallClock().time_calls(lambda: None, 1) >= 0
    assert clock_resolution_seconds() > 0


def test_waiting_without_a_device_returns() -> None:
    wait_for_active_device()
    make_clock().wait()
    make_clock("cpu").wait()


@pytest.mark.parametrize(
    ("device", "kind", "told"),
    [
        ("cuda:7", "wall", "no device 'cuda:7'"),
        ("tpu", "wall", "no device 'tpu'"),
        (None, "sundial", "'sundial' is not a clock"),
    ],
)
def test_an_unknown_device_or_clock_is_refused(device: str | None, kind: str, told: str) -> None:
    import torch  # noqa: F401 - a process that never imported it has other errors

    with pytest.raises(UsageError, match=told):
        make_clock(device, kind)


@pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="only without a CUDA device")
def test_events_without_cuda_are_refused() -> None:
    with pytest.raises(UsageError, match="need a CUDA device"):
        make_clock(kind="events")


@pytest.mark.gpu
def test_a_clock_that_does_not_wait_for_cuda_is_caught() -> None:
    import torch

    cuda: Any = torch.cuda

    def queue() -> None:
        cuda._sleep(20_000_000)  # cycles

    waiting, events = (
        make_clock("cuda").time_calls(queue, 5),
        make_clock("cuda", "events").time_calls(queue, 5),
    )
    torch.cuda.synchronize()
    careless = WallClock().time_calls(queue, 5)
    torch.cuda.synchronize()
    assert careless < waiting / 5
    assert abs(events / waiting - 1) < 0.05
