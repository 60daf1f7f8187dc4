"""How long each announced stage took, the stages inside it not counted twice."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from time import perf_counter

from perfsuite.measure.clock import Call, no_wait
from perfsuite.stages import listen_to_stages


class StageClock:
    """Listens to stages and sums their own time, thread by thread.

    With `wait_for_device`, a stage ends when its device work has ended: true, but slower than the
    overlapped run, so stages are taken in calls of their own and never in timed rounds.
    """

    def __init__(self, wait_for_device: Callable[[], None] = no_wait) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.times: dict[str, int] = defaultdict(int)
        self._wait = wait_for_device
        self._lock = threading.Lock()
        self._threads = threading.local()

    def begin(self, stage: str) -> None:
        self._wait()
        stack: list[list[float]] = self._threads.__dict__.setdefault("stack", [])
        stack.append([perf_counter(), 0.0])  # began, seconds of stages inside

    def end(self, stage: str) -> None:
        self._wait()
        stack: list[list[float]] = self._threads.stack
        began, inside = stack.pop()
        took = perf_counter() - began
        if stack:
            stack[-1][1] += took
        with self._lock:
            self.seconds[stage] += took - inside
            self.times[stage] += 1

    def count_event(self, what: str, count: int) -> None:
        """Counted things are the counters' business."""


def seconds_by_stage(call: Call, calls: int, wait_for_device: Callable[[], None]) -> dict[str, float]:
    """Seconds per call of each stage that the call announces, over `calls` calls."""
    clock = StageClock(wait_for_device)
    with listen_to_stages(clock):
        for _ in range(calls):
            call()
    return {stage: seconds / calls for stage, seconds in clock.seconds.items()}
