"""What would be luck for a process's whole life, taken out of it or drawn anew at every turn.

Where malloc puts buffers, whether freed memory goes back to the kernel, which core a thread is on and whether
the other side's threads still spin there. Like plugin it may use nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

HOLE_FILLERS, SHIFT_BLOCKS = 1000, 32  # blocks
MAX_IDLE_WAIT_SECONDS = 0.05
BUSY_THREAD_SHARE = 0.1  # of a core: below it a thread has no part in the work
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Let glibc keep what was freed. Else it is luck for a process's life whether each call gives the top of
    its heap back and has the kernel clear it again: seen to cost 10 to 40 % of a normalization."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the largest that it takes
        mallopt(M_TRIM_THRESHOLD, 1 << 30)


class HeapRandomizer:
    """Moves what malloc gives out next: a decoder can be 20 % faster or slower by where its buffers lie."""

    def __init__(self) -> None:
        self._chance = random.Random()
        self._plugs: list[int] = []
        self._between: list[int] = []
        library = ctypes.CDLL(None)
        self._take, self._free = library.malloc, library.free
        self._take.restype, self._take.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self._free.restype, self._free.argtypes = None, [ctypes.c_void_p]

    def fill_holes(self) -> None:
        """Fill the holes of this process's history, which malloc would give out again and again."""
        self._plugs = self._reallocate(self._plugs, HOLE_FILLERS, 10, 17)

    def randomize(self) -> None:
        self._between = self._reallocate(self._between, SHIFT_BLOCKS, 5, 16)

    def _reallocate(self, blocks: list[int], number: int, low: float, high: float) -> list[int]:
        for place in blocks:
            self._free(place)
        # Never written to, so that neither memory nor caches are used up.
        return [self._take(int(2 ** self._chance.uniform(low, high))) for _ in range(number)]


class CpuTimes(NamedTuple):
    """Seconds of work so far."""

    process: float
    children: float  # those that have ended
    threads: dict[int, float]  # by native id


def read_cpu_times() -> CpuTimes | None:
    """None where the kernel does not say it of each thread, or other processes do a part of the work."""
    times, threads = os.times(), {}
    try:
        for task in Path("/proc/self/task").iterdir():
            if (task / "children").read_text().strip():
                return None
            threads[int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
    return CpuTimes(time.process_time(), times.children_user + times.children_system, threads)


def busy_threads(before: CpuTimes | None, after: CpuTimes | None, elapsed: float) -> list[int]:
    """The threads that do the work, the caller first; none where some of it cannot be said to be anyone's."""
    if before is None or after is None or before.children != after.children:
        return []
    worked = {task: seconds - before.threads.get(task, 0.0) for task, seconds in after.threads.items()}
    if after.process - before.process - sum(worked.values()) > BUSY_THREAD_SHARE * elapsed:
        return []  # done by threads that came and went
    me = threading.get_native_id()
    return [
        me,
        *(task for task in sorted(worked) if worked[task] > BUSY_THREAD_SHARE * elapsed and task != me),
    ]


@contextmanager
def pinned_to_cores(threads: list[int], cores: list[int]) -> Iterator[None]:
    """Each busy thread stays on a core of its own, the one that its like on the other side works on too."""
    before: dict[int, set[int]] = {}
    try:
        with suppress(OSError):  # a thread that has ended
            for task, core in zip(threads, cores, strict=False):
                before[task] = os.sched_getaffinity(task)
                os.sched_setaffinity(task, {core})
        yield
    finally:
        for task, allowed in before.items():
            with suppress(OSError):
                os.sched_setaffinity(task, allowed)


def wait_until_idle(threads: list[int], otherwise: float) -> None:
    """Wait until all but the first of these threads sleep: OpenMP's spin for milliseconds after their work.
    Where it is unknown who works, `otherwise` seconds."""
    if not threads:
        time.sleep(otherwise)
    until = time.perf_counter() + MAX_IDLE_WAIT_SECONDS
    while time.perf_counter() < until and any(_is_running(task) for task in threads[1:]):
        time.sleep(0.0002)


def _is_running(task: int) -> bool:
    try:
        return Path(f"/proc/self/task/{task}/stat").read_text().rpartition(")")[2].split()[0] == "R"
    except OSError:
        return False
