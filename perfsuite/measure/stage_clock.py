"""Time the stages that a workload announces, without counting nested stages twice."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from perfsuite.measure.clock import Call, no_wait
from perfsuite.stages import listen_to_stages

MAX_SPANS = 20_000  # kept of a profile: about 2 MB of a Chrome trace


@dataclass(frozen=True, slots=True)
class StageSpan:
    """One stage from its begin to its end, in seconds of one clock; nested stages have spans of their own."""

    stage: str
    begin: float
    end: float
    thread: int = 0


class StageClock:
    """A stage listener that sums the seconds of each stage, over all threads.

    With `wait_for_device` a stage ends when its device work has ended. That is accurate, but slower than the
    overlapped run, so stages are timed in calls of their own, never in timed rounds.

    The first `max_spans` stages are also kept one by one, for timelines.
    """

    def __init__(self, wait_for_device: Callable[[], None] = no_wait, max_spans: int = 0) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.spans: list[StageSpan] = []
        self._max_spans = max_spans
        self._wait = wait_for_device
        self._lock = threading.Lock()
        self._threads = threading.local()

    def begin(self, stage: str) -> None:
        self._wait()
        self._stack().append([perf_counter(), 0.0])  # start, seconds of nested stages

    def end(self, stage: str) -> None:
        self._wait()
        stack = self._stack()
        if not stack:
            return  # the stage began before this clock listened
        start, nested = stack.pop()
        now = perf_counter()
        seconds = now - start
        if stack:
            stack[-1][1] += seconds
        with self._lock:
            self.seconds[stage] += seconds - nested
            if len(self.spans) < self._max_spans:
                self.spans.append(StageSpan(stage, start, now, threading.get_ident()))

    def count_event(self, event: str, count: int) -> None:
        """Ignore events; the counters count them."""

    def _stack(self) -> list[list[float]]:
        stack: list[list[float]] = self._threads.__dict__.setdefault("stack", [])
        return stack


def seconds_by_stage(call: Call, calls: int, wait_for_device: Callable[[], None]) -> dict[str, float]:
    """Seconds per call of each stage that the call announces, over `calls` calls."""
    clock = StageClock(wait_for_device)
    with listen_to_stages(clock):
        for _ in range(calls):
            call()
    return {stage: seconds / calls for stage, seconds in clock.seconds.items()}
