"""Clocks that read the time only when the device is idle."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from time import perf_counter_ns
from typing import Any, Protocol

from perfsuite.errors import UsageError

Call = Callable[[], object]


class Clock(Protocol):
    def time_calls(self, call: Call, calls: int) -> float:
        """Seconds that `calls` calls take together, from an idle device until the device has finished."""

    def wait(self) -> None:
        """Wait until the device has finished all work."""


def no_wait() -> None:
    """The wait of work that is finished when its call returns."""


@dataclass(frozen=True, slots=True)
class WallClock:
    """Wall time of host and device together, with one wait at each end."""

    wait_for_device: Callable[[], None] = no_wait

    def wait(self) -> None:
        self.wait_for_device()

    def time_calls(self, call: Call, calls: int) -> float:
        self.wait_for_device()
        start = perf_counter_ns()
        for _ in repeat(None, calls):
            call()
        self.wait_for_device()
        return (perf_counter_ns() - start) / 1e9


@dataclass(slots=True)
class CountingClock:
    """A clock that counts the calls it times, warm-up included."""

    clock: Clock
    calls: int = 0

    def wait(self) -> None:
        self.clock.wait()

    def time_calls(self, call: Call, calls: int) -> float:
        self.calls += calls
        return self.clock.time_calls(call, calls)


@dataclass(frozen=True, slots=True)
class CudaEventClock:
    """Device time of the current CUDA stream. For kernels, without the cost of launching them."""

    cuda: Any  # the torch.cuda module

    def wait(self) -> None:
        self.cuda.synchronize()

    def time_calls(self, call: Call, calls: int) -> float:
        start, end = self.cuda.Event(enable_timing=True), self.cuda.Event(enable_timing=True)
        self.cuda.synchronize()
        start.record()
        for _ in repeat(None, calls):
            call()
        end.record()
        self.cuda.synchronize()
        return float(start.elapsed_time(end)) / 1e3


def make_clock(device: str | None = None, kind: str = "wall") -> Clock:
    """A clock that waits for `device` ("cpu", "cuda", "cuda:1", "mps"); None waits for the device in use.

    This does not import torch: a process that has not imported it has no device to wait for.
    """
    torch = sys.modules.get("torch")
    if kind == "events":
        if torch is None or not torch.cuda.is_available():
            raise UsageError("clock: 'events' need a CUDA device, and there is none; use clock='wall'")
        return CudaEventClock(torch.cuda)
    if kind != "wall":
        raise UsageError(f"clock: {kind!r} is not a clock, expected 'wall' or 'events'")
    return WallClock(_device_wait(torch, device))


def _device_wait(torch: Any, device: str | None) -> Callable[[], None]:
    if device == "cpu":
        return no_wait
    if device is None:
        # Looks for the device at every wait: the first call may be what initializes it.
        return wait_for_active_device
    if torch is None:
        raise UsageError(f"clock: device {device!r}, but torch is not imported; import torch first")
    if device.startswith("cuda") and torch.cuda.is_available():
        return lambda: torch.cuda.synchronize(device)
    if device == "mps" and torch.backends.mps.is_available():
        wait: Callable[[], None] = torch.mps.synchronize
        return wait
    raise UsageError(f"clock: no device {device!r} on this machine, expected cpu or a device of torch")


def wait_for_active_device() -> None:
    """Wait for the device that this process has initialized, if any."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None:  # torch is absent, or still being imported
        return
    if cuda.is_initialized():
        cuda.synchronize()
    elif torch is not None and torch.backends.mps.is_available():
        torch.mps.synchronize()


def clock_resolution_seconds(readings: int = 200) -> float:
    """The smallest step of the wall clock among some readings."""
    steps = []
    for _ in range(readings):
        start = perf_counter_ns()
        while (step := perf_counter_ns() - start) == 0:
            pass
        steps.append(step)
    return min(steps) / 1e9
