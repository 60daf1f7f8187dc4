"""A limit on the time of a whole command, and what is left of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from perfsuite.errors import DataError

# A signal that arrives in a callback whose exceptions are dropped must come again.
SECONDS_BETWEEN_SIGNALS = 1.0


class TimeIsUpError(BaseException):
    """The time of a command is over. Not an Exception, so that no fallback (as of a compiler) takes it."""


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """Seconds from `begin`; the timer is a parameter so that tests need no real time.

    >>> limit = TimeLimit.start(10.0, timer=iter((100.0, 103.0, 111.0)).__next__)
    >>> limit.left, limit.is_over
    (7.0, True)
    """

    seconds: float
    begin: float
    timer: Callable[[], float] = perf_counter

    @classmethod
    def start(cls, seconds: float, timer: Callable[[], float] = perf_counter) -> TimeLimit:
        return cls(seconds, timer(), timer)

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self.seconds - (self.timer() - self.begin))

    @property
    def is_over(self) -> bool:
        return self.left <= 0


@contextmanager
def interrupt_when_over(limit: TimeLimit) -> Iterator[None]:
    """Raise TimeIsUpError in the block when the time is over, also in the middle of a compilation.

    Where the system has no interval timer, or in another thread than the main one, nothing is raised.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not hasattr(signal, "setitimer") or not is_main:
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise TimeIsUpError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, max(limit.left, 1e-3), SECONDS_BETWEEN_SIGNALS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def format_duration(seconds: float) -> str:
    """A time for people, with two significant digits or whole units.

    >>> [format_duration(seconds) for seconds in (0.0042, 0.21, 1.25, 21.14, 1057, 5400, 259200)]
    ['4.2 ms', '210 ms', '1.2 s', '21 s', '18 min', '1.5 h', '72 h']
    """
    if seconds < 1:
        milliseconds = seconds * 1000
        return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
    for unit, size, limit in (("s", 1, 120), ("min", 60, 60 * 90), ("h", 3600, float("inf"))):
        if seconds < limit:
            value = seconds / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    raise AssertionError(seconds)


@contextmanager
def fail_when_hung(seconds: float, who: str) -> Iterator[None]:
    """Raise DataError in the block after so many seconds, where the system can interrupt a waiting call."""
    try:
        with interrupt_when_over(TimeLimit.start(seconds)):
            yield
    except TimeIsUpError as error:
        raise DataError(
            f"{who}: no end of a turn after {format_duration(seconds)}, expected batches; it hangs or is "
            "very slow: iterate over it in a script to see where it waits"
        ) from error
