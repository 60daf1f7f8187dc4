"""One worker process: threads that fill batches in shared memory. Only messages pass through its pipe."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from perfsuite.data.batch import BatchBuffer
from perfsuite.data.engines.base import Faults, WorkerConfig
from perfsuite.data.engines.sent_error import SentError
from perfsuite.data.engines.threads import ThreadEngine
from perfsuite.data.engines.worker_environment import (
    handle_signals_as_worker,
    limit_library_threads,
    opencv_threads_disabled,
)
from perfsuite.data.faults import Fault
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_file import set_pixel_limit
from perfsuite.data.sources.base import ImageSource

# A worker that is told to end finishes its batches first; one that takes longer is killed.
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSetup:
    """What a worker process needs; it is sent to it once."""

    source: ImageSource
    image_config: ImageConfig
    worker_config: WorkerConfig
    memory: BatchBuffer  # all batches, one after the other
    rows_per_batch: int
    current_rows: torch.Tensor  # of this process's threads


class WorkerProcess:
    """A handle in the caller's process."""

    def __init__(self, context: Any, setup: WorkerSetup) -> None:
        self.connection, self._worker_end = context.Pipe()
        self.process: Any = context.Process(
            target=_worker_main, args=(setup, self._worker_end), name="perfsuite-load", daemon=True
        )

    def start(self) -> None:
        with opencv_threads_disabled():
            self.process.start()
        self._worker_end.close()

    def close(self, is_idle: bool) -> None:
        """End an idle process in order; kill another one, which may be stuck or stopped."""
        if is_idle:
            with suppress(OSError):
                # A forked worker has this end of the pipe too, so closing it would not end the worker.
                self.connection.send(None)
        self.connection.close()
        self._worker_end.close()
        if self.process.pid is None:  # it was not started
            return
        if is_idle:
            self.process.join(STOP_SECONDS)
        if self.process.exitcode is None:
            self.process.kill()  # SIGTERM does not end a stopped process
            self.process.join()


def _worker_main(setup: WorkerSetup, pipe: Connection) -> None:
    """Fill buffers until the caller says stop, closes the pipe, or has ended."""
    handle_signals_as_worker()
    limit_library_threads()
    caller = parent_process()
    events: list[Any] = [pipe] if caller is None else [pipe, caller.sentinel]
    threads = ThreadEngine(setup.source, setup.image_config, setup.worker_config, setup.current_rows.numpy())
    send_lock = threading.Lock()

    def send_result(number: int, parts: Sequence[Future[Faults]]) -> None:
        with send_lock, suppress(OSError):  # the caller has ended
            pipe.send((number, *_collect_faults(parts)))

    while True:
        try:
            wait(events)
            # The pipe of a killed caller stays open if the worker was forked, because it has both ends.
            message = pipe.recv() if pipe.poll() else None
        except (EOFError, OSError):
            break
        if message is None:
            break
        number, task = message
        set_pixel_limit(task.max_image_pixels)
        first = number * setup.rows_per_batch
        parts = threads.submit(task, setup.memory.part(first, first + setup.rows_per_batch))
        _call_when_all_done(parts, partial(send_result, number, parts))
    threads.close()


def _call_when_all_done(futures: Sequence[Future[Faults]], callback: Callable[[], None]) -> None:
    """Call `callback` once, from the thread that finishes last."""
    lock, remaining = threading.Lock(), len(futures)

    def count_down(_: Future[Faults]) -> None:
        nonlocal remaining
        with lock:
            remaining -= 1
            is_last = remaining == 0
        if is_last:
            callback()

    for future in futures:
        future.add_done_callback(count_down)


def _collect_faults(parts: Sequence[Future[Faults]]) -> tuple[Faults, SentError | None]:
    """Return the faults of all parts and no error, or no faults and the first part's error."""
    faults: list[Fault] = []
    for part in parts:
        error = part.exception()
        if error is not None:
            return (), SentError.pack(error)
        faults += part.result()
    return tuple(faults), None
