"""How long a thread has waited for a core.

On a machine with more work than cores, a thread that has used up its time slice waits for several others,
tens of milliseconds, which is several turns. Which side waits is chance, and a longer call waits more often
than a shorter one: under load, ratios are too large. The kernel counts these waits for each thread. It does
not count sleep, nor waiting for input, output or a lock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

MAX_BYTES = 128  # three numbers
SECONDS_PER_TICK = 1e-9


class RunDelayClock:
    """Seconds that one thread of this process has waited for a core; always 0 where none are counted."""

    def __init__(self, thread: int) -> None:
        self._file: int | None = None
        with suppress(OSError):  # not Linux, or a thread that has ended
            self._file = os.open(f"/proc/self/task/{thread}/schedstat", os.O_RDONLY)

    def seconds(self) -> float:
        if self._file is None:
            return 0.0
        with suppress(OSError):  # the thread has ended
            return parse_run_delay(os.pread(self._file, MAX_BYTES, 0))
        return 0.0

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class TurnWaits:
    """The waits of the threads that work in a call, from the beginning of one turn."""

    def __init__(self, threads: Iterable[int]) -> None:
        self.clocks = [RunDelayClock(thread) for thread in threads]
        self._begin = time.perf_counter()
        self._seconds_before = [clock.seconds() for clock in self.clocks]

    def __enter__(self) -> TurnWaits:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for clock in self.clocks:
            clock.close()

    def longest_share(self) -> float:
        """The share of the time so far in which the thread that waited longest waited."""
        waited = (
            clock.seconds() - before for clock, before in zip(self.clocks, self._seconds_before, strict=True)
        )
        return max((0.0, *waited)) / (time.perf_counter() - self._begin)


def parse_run_delay(schedstat: bytes) -> float:
    """The waits in a thread's schedstat: time on a core, time waiting for one, number of time slices.

    >>> parse_run_delay(b"9000000 2000000 3")
    0.002
    >>> parse_run_delay(b"")
    0.0
    """
    fields = schedstat.split()
    return int(fields[1]) * SECONDS_PER_TICK if len(fields) > 1 else 0.0


def without_waits(elapsed: float, waited: float) -> float:
    """The part of `elapsed` in which a thread could run.

    A wait that is no shorter lay between the readings of the two clocks, and so outside.

    >>> without_waits(0.035, waited=0.03) < 0.006, without_waits(0.005, waited=0.03)
    (True, 0.005)
    """
    return elapsed - waited if 0 < waited < elapsed else elapsed
