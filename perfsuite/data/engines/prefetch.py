"""Prefetch batches ahead of the caller, and yield them in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask
from perfsuite.data.engines.base import Faults

Futures = Sequence["Future[Faults]"]
_Pending = deque[tuple[BatchTask, BatchBuffer, Futures]]


class Workers(Protocol):
    """Threads or processes that fill buffers."""

    def submit(self, task: BatchTask, buffer: BatchBuffer) -> Futures:
        """Start to fill the buffer; return one future for each part of it."""
        ...

    def wait(self, futures: Futures) -> None:
        """Wait until all are done; a DataError if the workers are stuck or have ended."""
        ...

    def abandon(self) -> None:
        """Stop using these workers, without waiting for them, after an interrupt."""
        ...


def prefetch_in_order(
    tasks: Iterable[BatchTask], free: deque[BatchBuffer], workers: Workers, ahead: int
) -> Generator[Batch]:
    """Keep `ahead` tasks running beyond the caller's batch; at the end, wait until all have finished.

    Buffers are taken from `free` and returned to it, unless the workers may still write to them.
    """
    waiting = iter(tasks)
    pending: _Pending = deque()
    given: BatchBuffer | None = None  # the buffer of the caller's batch
    owner = os.getpid()
    try:
        while True:
            while len(pending) < ahead and (task := next(waiting, None)) is not None:
                buffer = free.popleft()
                pending.append((task, buffer, workers.submit(task, buffer)))
            if not pending:
                return
            task, buffer, futures = pending[0]
            workers.wait(futures)
            faults = tuple(fault for future in futures for fault in future.result())
            pending.popleft()
            given = buffer
            yield given.to_batch(len(task.rows), faults)
            free.append(given)
            given = None
    except (KeyboardInterrupt, SystemExit):
        pending.clear()
        _abandon(workers, owner)
        raise
    finally:
        if os.getpid() == owner:  # a forked child has neither the threads nor a right to the results
            _finish(pending, free, workers)
            if given is not None and not any(given is buffer for buffer in free):
                free.append(given)


def _abandon(workers: Workers, owner: int) -> None:
    if os.getpid() == owner:
        workers.abandon()


def _finish(pending: _Pending, free: deque[BatchBuffer], workers: Workers) -> None:
    """Cancel what has not begun, wait for the rest, and return the buffers."""
    for _, _, futures in pending:
        for future in futures:
            future.cancel()
    for _, buffer, futures in pending:
        # The error of a batch that nobody requested is not raised; that of stuck workers was, or will be.
        with suppress(Exception):
            workers.wait([future for future in futures if not future.cancelled()])
            free.append(buffer)
