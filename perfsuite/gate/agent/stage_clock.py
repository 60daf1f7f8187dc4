"""Stage times inside a gated process, without perfsuite.

A copy of the clock in perfsuite/measure/stage_clock.py, which this process may not be able to import.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict


class AgentStageClock:
    """Seconds by stage over all threads, each without the stages inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()
        self._open = threading.local()

    def begin(self, stage: str) -> None:
        stack = self._open.__dict__.setdefault("stack", [])
        stack.append([time.perf_counter(), 0.0])

    def end(self, stage: str) -> None:
        stack = self._open.__dict__.get("stack")
        if not stack:  # begun before this clock listened
            return
        begin, inner_seconds = stack.pop()
        seconds = time.perf_counter() - begin
        with self._lock:
            self.seconds[stage] += seconds - inner_seconds
        if stack:
            stack[-1][1] += seconds

    def count_event(self, name: str, count: int) -> None:
        """Ignore counted events: counters are taken in calls of their own."""
