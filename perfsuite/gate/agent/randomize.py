"""Remove or re-randomize effects that would last for a process's whole life.

Such effects are where malloc puts buffers, whether freed memory goes back to the kernel, which core a thread
runs on, and whether threads of the other side still spin there.
"""

from __future__ import annotations

import ctypes
import os
import random
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

HOLE_FILLERS, SHIFT_BLOCKS = 1000, 32  # blocks
MAX_IDLE_WAIT_SECONDS = 0.05
BUSY_THREAD_SHARE = 0.1  # of a core: a thread below it has no part in the work
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Let glibc keep freed memory.

    Otherwise chance decides, for a process's whole life, whether each call returns the top of its heap to the
    kernel and has it cleared again: measured as 10 to 40 % of a normalization.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the largest value that it accepts
        mallopt(M_TRIM_THRESHOLD, 1 << 30)


class HeapRandomizer:
    """Moves the next blocks of malloc: where its buffers lie makes a decoder up to 20 % faster or slower."""

    def __init__(self) -> None:
        self._rng = random.Random()
        self._hole_fillers: list[int] = []
        self._shift_blocks: list[int] = []
        library = ctypes.CDLL(None)
        self._malloc, self._free = library.malloc, library.free
        self._malloc.restype, self._malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self._free.restype, self._free.argtypes = None, [ctypes.c_void_p]

    def fill_holes(self) -> None:
        """Fill the holes that this process has left in the heap, which malloc would reuse again and again."""
        self._hole_fillers = self._reallocate(self._hole_fillers, HOLE_FILLERS, 10, 17)

    def randomize(self) -> None:
        """Allocate blocks of random size, so that the next buffers lie elsewhere."""
        self._shift_blocks = self._reallocate(self._shift_blocks, SHIFT_BLOCKS, 5, 16)

    def _reallocate(self, blocks: list[int], number: int, low: float, high: float) -> list[int]:
        for address in blocks:
            self._free(address)
        # Never written to, so that they use neither memory nor cache.
        return [self._malloc(int(2 ** self._rng.uniform(low, high))) for _ in range(number)]


class CpuTimes(NamedTuple):
    """Seconds of CPU time so far."""

    process: float
    children: float  # those that have ended
    threads: dict[int, float]  # by native id


def read_cpu_times() -> CpuTimes | None:
    """CPU times by thread; None where the kernel does not report them, or a child process is alive."""
    times, threads = os.times(), {}
    try:
        for task in Path("/proc/self/task").iterdir():
            if (task / "children").read_text().strip():
                return None
            threads[int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
        # The kernel brings a running thread's own figure up to date every few milliseconds only.
        threads[threading.get_native_id()] = time.thread_time()
    except (OSError, ValueError, IndexError):
        return None
    return CpuTimes(time.process_time(), times.children_user + times.children_system, threads)


def busy_threads(before: CpuTimes | None, after: CpuTimes | None, elapsed: float) -> list[int]:
    """The threads that do the work, the caller first; empty where some work belongs to no living thread."""
    if before is None or after is None or before.children != after.children:
        return []
    worked = {task: seconds - before.threads.get(task, 0.0) for task, seconds in after.threads.items()}
    if after.process - before.process - sum(worked.values()) > BUSY_THREAD_SHARE * elapsed:
        return []  # done by threads that started and ended meanwhile
    caller = threading.get_native_id()
    return [
        caller,
        *(task for task in sorted(worked) if worked[task] > BUSY_THREAD_SHARE * elapsed and task != caller),
    ]


class CorePins:
    """Threads that are pinned to one core each; their counterparts on the other side use the same cores."""

    def __init__(self) -> None:
        self._pins: list[tuple[int, int]] = []
        self._before: dict[int, set[int]] = {}  # the cores that each thread was allowed

    def pin(self, threads: list[int], cores: list[int]) -> None:
        """Pin these threads and no others."""
        pins = list(zip(threads, cores, strict=False))
        if pins == self._pins:
            return
        self.release()
        self._pins = pins
        with suppress(OSError):  # a thread that has ended
            for task, core in pins:
                self._before[task] = os.sched_getaffinity(task)
                os.sched_setaffinity(task, {core})

    def release(self) -> None:
        for task, allowed in self._before.items():
            with suppress(OSError):
                os.sched_setaffinity(task, allowed)
        self._pins, self._before = [], {}


def wait_until_idle(threads: list[int], unknown_wait_seconds: float) -> None:
    """Wait until all but the first of these threads sleep: OpenMP's spin for milliseconds after their work.

    Where the working threads are unknown (an empty list), wait for a fixed time.
    """
    if not threads:
        time.sleep(unknown_wait_seconds)
    deadline = time.perf_counter() + MAX_IDLE_WAIT_SECONDS
    while time.perf_counter() < deadline and any(_is_running(task) for task in threads[1:]):
        time.sleep(0.0002)


def _is_running(task: int) -> bool:
    try:
        return Path(f"/proc/self/task/{task}/stat").read_text().rpartition(")")[2].split()[0] == "R"
    except OSError:
        return False
