"""The call that a benchmark measures, and samples of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from .optional import synchronize_device
from .run_delay import RunDelayClock, without_waits

Arguments = tuple[Any, Any]  # positional, by keyword


class BenchmarkCall:
    """One benchmark's call, with the setup and teardown around it.

    A repeatable call may be made many times between two clock readings. By default it is repeatable when it
    has neither setup nor teardown.
    """

    def __init__(
        self,
        call: Callable[..., Any],
        *,
        setup: Callable[[], Arguments] | None = None,
        teardown: Callable[..., Any] | None = None,
        iterations: int = 1,
        timer: Callable[[], float] = time.perf_counter,
        without_gc: bool = False,
        is_repeatable: bool | None = None,
    ) -> None:
        self.call, self.setup, self.teardown = call, setup, teardown
        self.iterations, self.timer, self.without_gc = iterations, timer, without_gc
        has_no_frame = setup is None and teardown is None
        self.is_repeatable = has_no_frame if is_repeatable is None else is_repeatable

    def calls_per_sample(self, calls: int) -> int:
        """How many calls one sample makes when `calls` are asked for."""
        return calls if self.is_repeatable else self.iterations

    def sample(self, calls: int, waits: RunDelayClock | None = None) -> float:
        """Seconds per call of one sample; the device has finished before either clock reading.

        What `waits` counts meanwhile is subtracted. It is read outside of what is timed.
        """
        args, kwargs = self.setup() if self.setup else ((), {})
        loops = range(self.calls_per_sample(calls))
        call, timer, collecting = self.call, self.timer, gc.isenabled()
        if self.without_gc:
            gc.disable()
        try:
            synchronize_device()
            waited_before = waits.seconds() if waits else 0.0
            begin = timer()
            for _ in loops:
                call(*args, **kwargs)
            synchronize_device()
            end = timer()
            waited = waits.seconds() - waited_before if waits else 0.0
        finally:
            if collecting:
                gc.enable()
        if self.teardown is not None:
            self.teardown(*args, **kwargs)
        return without_waits(end - begin, waited) / len(loops)

    def call_once(self) -> None:
        """Make one call with its setup and teardown, for counting."""
        args, kwargs = self.setup() if self.setup else ((), {})
        self.call(*args, **kwargs)
        if self.teardown is not None:
            self.teardown(*args, **kwargs)
