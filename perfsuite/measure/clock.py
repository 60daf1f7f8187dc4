"""When a call began and ended, with the device idle at both readings."""

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
    def seconds(self, call: Call, calls: int) -> float:
        """How long `calls` calls took, from an idle device to a finished one."""

    def wait(self) -> None:
        """Return when the device has nothing left to do."""


def no_wait() -> None:
    """For work that is done when the call returns."""


@dataclass(frozen=True, slots=True)
class WallClock:
    """What a person with a stopwatch sees: host and device together, one wait at each end."""

    wait_for_device: Callable[[], None] = no_wait

    def wait(self) -> None:
        self.wait_for_device()

    def seconds(self, call: Call, calls: int) -> float:
        self.wait_for_device()
        began = perf_counter_ns()
        for _ in repeat(None, calls):
            call()
        self.wait_for_device()
        return (perf_counter_ns() - began) / 1e9


@dataclass(frozen=True, slots=True)
class CudaEventClock:
    """What the device sees of its current stream: for kernels, whose launch is not to be counted."""

    cuda: Any  # the torch.cuda module

    def wait(self) -> None:
        self.cuda.synchronize()

    def seconds(self, call: Call, calls: int) -> float:
        began, ended = self.cuda.Event(enable_timing=True), self.cuda.Event(enable_timing=True)
        self.cuda.synchronize()
        began.record()
        for _ in repeat(None, calls):
            call()
        ended.record()
        self.cuda.synchronize()
        return float(began.elapsed_time(ended)) / 1e3


def make_clock(device: str | None = None, kind: str = "wall") -> Clock:
    """The clock that waits for `device` ("cpu", "cuda", "cuda:1", "mps"); None waits for what is in use.

    Torch is not imported for this: a process that never did has no device to wait for.
    """
    torch = sys.modules.get("torch")
    if kind == "events":
        if torch is None or not torch.cuda.is_available():
            raise UsageError("clock: events were asked for, which need a CUDA device; use clock='wall'")
        return CudaEventClock(torch.cuda)
    if kind != "wall":
        raise UsageError(f"clock: {kind!r} is not a clock; expected 'wall' or 'events'")
    return WallClock(_device_wait(torch, device))


def _device_wait(torch: Any, device: str | None) -> Callable[[], None]:
    if device == "cpu":
        return no_wait
    if device is None:
        # Looked at anew on every wait: the first call may be what starts the device.
        return wait_for_active_device
    if torch is None:
        raise UsageError(f"clock: device {device!r} was named, but torch is not imported")
    if device.startswith("cuda") and torch.cuda.is_available():
        return lambda: torch.cuda.synchronize(device)
    if device == "mps" and torch.backends.mps.is_available():
        wait: Callable[[], None] = torch.mps.synchronize
        return wait
    raise UsageError(f"clock: there is no device {device!r} here; expected cpu, or a device that torch sees")


def wait_for_active_device() -> None:
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None:  # absent, or still being imported
        return
    if cuda.is_initialized():
        cuda.synchronize()
    elif torch is not None and torch.backends.mps.is_available():
        torch.mps.synchronize()


def clock_resolution_seconds(readings: int = 200) -> float:
    """The smallest step that the wall clock was seen to make."""
    steps = []
    for _ in range(readings):
        began = perf_counter_ns()
        while (step := perf_counter_ns() - began) == 0:
            pass
        steps.append(step)
    return min(steps) / 1e9
