"""Prefetch batches ahead of the caller, and yield them in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask
from perfsuite.data.engines.base import Faults

Submit = Callable[[BatchTask, BatchBuffer], list["Future[Faults]"]]


def prefetch_in_order(
    tasks: Iterable[BatchTask], free: deque[BatchBuffer], submit: Submit, ahead: int
) -> Iterator[Batch]:
    """Keep `ahead` tasks running beyond the caller's batch; at the end, wait until all have finished.

    Buffers are taken from `free` and returned to it.
    """
    waiting = iter(tasks)
    pending: deque[tuple[BatchTask, BatchBuffer, list[Future[Faults]]]] = deque()
    given: BatchBuffer | None = None  # the buffer of the caller's batch
    try:
        while True:
            while len(pending) < ahead and (task := next(waiting, None)) is not None:
                buffer = free.popleft()
                pending.append((task, buffer, []))
                pending[-1][2].extend(submit(task, buffer))
            if not pending:
                return
            task, given, futures = pending[0]
            faults = tuple(fault for future in futures for fault in future.result())
            pending.popleft()
            yield given.to_batch(len(task.rows), faults)
            free.append(given)
            given = None
    finally:
        for _, _, futures in pending:
            for future in futures:
                future.cancel()
        for _, buffer, futures in pending:
            for future in futures:
                if not future.cancelled():
                    future.exception()  # waits; an error of a batch that nobody requested is not raised
            free.append(buffer)
        if given is not None and not any(given is buffer for buffer in free):
            free.append(given)
