"""The clocks for code that chooses by speed. `perfsuite.data` reads no other clock.

A function that times takes a `timer` argument with one of these as default: a test passes a fake one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

Timer = Callable[[], float]  # seconds since an arbitrary moment; never goes backward

default_timer: Timer = time.perf_counter

_THREADS = Path("/proc/self/task")


def busy_seconds() -> float:
    """Return the seconds in which this process's living threads ran or waited for a core, summed over them.

    Waits for locks, files and sleeps do not count. Outside Linux waits for a core are not known, nor counted.

    >>> begin = busy_seconds()
    >>> sum(range(3_000_000)) > 0 and busy_seconds() > begin
    True
    """
    try:
        threads = list(_THREADS.iterdir())
        return sum(_busy_nanoseconds(thread) for thread in threads) / 1e9
    except OSError:  # another system, or a kernel without these statistics
        return time.process_time()


def _busy_nanoseconds(thread: Path) -> int:
    try:
        running, waiting, _ = (thread / "schedstat").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        if thread.exists():
            raise
        return 0  # it ended meanwhile
    return int(running) + int(waiting)
