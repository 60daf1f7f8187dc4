"""Start worker processes, set them up, and report why one ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from perfsuite.data.faults import name_row
from perfsuite.data.sources.base import ImageSource
from perfsuite.errors import DataError

# fork copies the caller's threads and locks; a server that forks before there are any is safe.
DEFAULT_START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"


def resolve_start_method(start_method: str | None) -> str:
    """Check the start method, or use the default; prepare the fork server if that is used."""
    method = start_method or DEFAULT_START_METHOD
    if method not in multiprocessing.get_all_start_methods():
        known = ", ".join(multiprocessing.get_all_start_methods())
        raise ValueError(f"start_method: {method!r}, expected one of {known}")
    if method == "forkserver":
        # The server imports torch once, and then forks every worker in an instant.
        multiprocessing.set_forkserver_preload(["__main__", "perfsuite.data.fork_server_preload"])
    return method


@contextmanager
def opencv_threads_disabled() -> Iterator[None]:
    """Disable OpenCV's threads while workers are forked: a worker would wait for threads that it lacks."""
    cv2 = sys.modules.get("cv2")
    if cv2 is None:
        yield
        return
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def handle_signals_as_worker() -> None:
    """In a worker process: ignore Ctrl-C, which also reaches the caller, and let SIGTERM end it.

    A forked worker starts with the handlers of its caller, which puts interrupts off at that moment.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def limit_library_threads() -> None:
    """In a worker: one thread per library; more would multiply with the number of workers."""
    torch.set_num_threads(1)
    try:
        import cv2
    except ImportError:
        return
    # In a forked worker, even setting the current value would wait for threads that fork did not copy.
    if cv2.getNumThreads() != 1:
        cv2.setNumThreads(1)


def pin_to_core(cores: Sequence[int], worker: int) -> None:
    """In a worker: pin it to one of the cores, by its number; no cores, no pinning."""
    if cores:
        os.sched_setaffinity(0, {cores[worker % len(cores)]})


def worker_death_error(exit_code: int | None, source: ImageSource, rows: Sequence[int]) -> DataError:
    """The error for a worker process that ended by itself or was killed, at these rows."""
    place = f" at {', '.join(name_row(source, row) for row in rows[:3])}" if rows else ""
    how = "ended without an exit code" if exit_code is None else f"ended with exit code {exit_code}"
    if exit_code is not None and exit_code < 0:
        how = f"was killed by signal {-exit_code} ({_signal_name(-exit_code)})"
    return DataError(
        f"loader: a worker process {how}{place}, expected it to run; {worker_death_advice(exit_code)}"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def worker_death_advice(exit_code: int | None) -> str:
    """Return advice for workers that failed or were killed, for example because memory ran out.

    >>> worker_death_advice(1).partition(":")[0]
    'it failed by itself and printed why'
    """
    if exit_code == 1:  # Python's, after an uncaught error
        return (
            "it failed by itself and printed why: a script that loads images outside of "
            "`if __name__ == '__main__':` is run again by each worker, unless start_method='fork'; "
            "engine='threads' needs no worker process"
        )
    return (
        "fewer num_workers or a smaller batch_size need less memory (also of /dev/shm), and "
        "engine='threads' needs no worker process"
    )
