"""A limit on the time of a whole command, and what is left of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from types import FrameType

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
    command_seconds: float = 0.0  # of the whole command, where this limit is a share of it

    @classmethod
    def start(cls, seconds: float, timer: Callable[[], float] = perf_counter) -> TimeLimit:
        return cls(seconds, timer(), timer, seconds)

    def share(self, fraction: float) -> TimeLimit:
        """A limit that begins now: this fraction of the time that is left."""
        return TimeLimit(self.left * fraction, self.timer(), self.timer, self.command_seconds)

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self.seconds - (self.timer() - self.begin))

    @property
    def is_over(self) -> bool:
        return self.left <= 0

    def suffices_for_another(self, done: int) -> bool:
        """Whether one more would end in time, if it takes as long as each of those that are `done`.

        >>> limit = TimeLimit(10.0, 0.0, timer=iter((6.0, 8.0)).__next__)
        >>> limit.suffices_for_another(2), limit.suffices_for_another(2)
        (True, False)
        """
        spent = self.timer() - self.begin
        return spent + spent / done < self.seconds


def divide_time(limit: TimeLimit, weights: Mapping[str, float]) -> Iterator[tuple[str, TimeLimit]]:
    """A limit for each name, begun when it is taken: its weight's share of what is left for it and the rest.

    Time that one does not use is thereby given on to those after it.

    >>> limit = TimeLimit.start(30.0, timer=iter((0.0, 0.0, 0.0, 4.0, 4.0)).__next__)
    >>> [(name, share.seconds) for name, share in divide_time(limit, {"a": 1, "b": 2})]
    [('a', 10.0), ('b', 26.0)]
    """
    left = sum(weights.values())
    for name, weight in weights.items():
        yield name, limit.share(weight / left)
        left -= weight


@contextmanager
def interrupt_when_over(limit: TimeLimit) -> Iterator[None]:
    """Raise TimeIsUpError in the block when the time is over, also in the middle of a compilation.

    Blocks may be nested; the earlier end counts. An import is not interrupted, because a package would stay
    half imported. Where the system has no interval timer, or in another thread than the main one, nothing is
    raised.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not hasattr(signal, "setitimer") or not is_main:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not _is_importing(frame):  # else the next signal
            raise TimeIsUpError

    begin, (outer, _) = perf_counter(), signal.getitimer(signal.ITIMER_REAL)
    before = signal.signal(signal.SIGALRM, interrupt)
    _raise_after(min(limit.left, outer or limit.left))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if outer:
            _raise_after(outer - (perf_counter() - begin))


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


def _raise_after(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), SECONDS_BETWEEN_SIGNALS)


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
