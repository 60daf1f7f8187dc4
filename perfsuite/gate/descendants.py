"""Processes that a side started and that left its group: they are found as descendants and as orphans."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_MAX_ROUNDS = 20  # a process may start another while it is being killed
_KILL_SECONDS = 5.0


def descendants(pid: int) -> list[psutil.Process]:
    """The living descendants of a process, also those in sessions of their own."""
    with suppress(psutil.Error):
        children: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
        return children
    return []


def kill(processes: list[psutil.Process]) -> None:
    """Kill processes, unless their ids belong to others by now, and those that they started meanwhile."""
    for process in processes:
        with suppress(psutil.Error):
            started = process.children(recursive=True)
            process.kill()
            kill(started)
    psutil.wait_procs(processes, timeout=_KILL_SECONDS)


@contextmanager
def adopted_orphans() -> Iterator[None]:
    """Adopt processes whose parents die while the block runs, and kill them at its end (Linux only).

    A daemon that a benchmark starts leaves group, session and parent, and may clear its environment. As the
    subreaper, this process becomes its parent. Its own children are in its session; those of a side are not.
    """
    if not _set_subreaper(True):
        yield
        return
    before = {child.pid for child in psutil.Process().children()}
    try:
        yield
    finally:
        for _ in range(_MAX_ROUNDS):
            orphans = [child for child in psutil.Process().children() if _is_foreign(child, before)]
            if not orphans:
                break
            kill(orphans)
        _set_subreaper(False)


def _is_foreign(child: psutil.Process, before: set[int]) -> bool:
    try:
        return child.pid not in before and os.getsid(child.pid) != os.getsid(0)
    except ProcessLookupError:
        return False


def _set_subreaper(value: bool) -> bool:
    """Make this process a subreaper, or no longer one; False where it cannot be changed or was one before."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    now = ctypes.c_int()
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(now), 0, 0, 0)
    if value and now.value:
        return False
    return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, int(value), 0, 0, 0) == 0)
