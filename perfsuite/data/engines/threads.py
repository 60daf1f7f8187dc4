"""Threads of the caller's process. Decoding releases the GIL, so they run in parallel."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask
from perfsuite.data.engines.base import EngineEntry, Faults, WorkerConfig, max_batch_rows
from perfsuite.data.engines.prefetch import prefetch_in_order
from perfsuite.data.engines.worker_setup import pin_to_core
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.sources.base import ImageSource


class ThreadEngine:
    """Threads that each fill a share of every batch."""

    name = "threads"

    def __init__(self, source: ImageSource, image_config: ImageConfig, worker_config: WorkerConfig) -> None:
        self._source, self._image_config, self._worker_config = source, image_config, worker_config
        self._empty = partial(torch.empty, pin_memory=True) if worker_config.pin_memory else torch.empty
        self._thread_numbers = count()
        self._makers = threading.local()
        self._pool: ThreadPoolExecutor | None = None
        self._pool_pid = 0  # a forked child inherits the pool object without its threads
        self._spare_buffers: list[BatchBuffer] = []

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        rows = max_batch_rows(tasks)
        self._spare_buffers = [buffer for buffer in self._spare_buffers if len(buffer.labels) >= rows]
        ahead = self._worker_config.prefetch_factor
        buffers = deque(self._take_buffer(rows) for _ in range(ahead + 1))
        try:
            yield from prefetch_in_order(tasks, buffers, self.submit, ahead)
        finally:
            self._spare_buffers += buffers

    def _take_buffer(self, rows: int) -> BatchBuffer:
        if self._spare_buffers:
            return self._spare_buffers.pop()
        return BatchBuffer.new(rows, self._image_config.batch_layout, self._empty)

    def submit(self, task: BatchTask, buffer: BatchBuffer) -> list[Future[Faults]]:
        """Start to fill the buffer; return one future for each share of it."""
        workers = self._worker_config.num_workers
        if self._pool is None or self._pool_pid != os.getpid():
            self._pool_pid = os.getpid()
            self._pool = ThreadPoolExecutor(workers, thread_name_prefix="perfsuite-load")
        shares = np.array_split(np.arange(len(task.rows)), min(workers, len(task.rows)) or 1)
        return [self._pool.submit(self._fill, task, buffer, share) for share in shares]

    def _fill(self, task: BatchTask, buffer: BatchBuffer, share: NDArray[np.int64]) -> Faults:
        maker: ImageMaker | None = getattr(self._makers, "maker", None)
        if maker is None:
            pin_to_core(self._worker_config.cores, next(self._thread_numbers))
            maker = self._makers.maker = ImageMaker(self._source, self._image_config)
        if not len(share):
            return ()
        part = slice(int(share[0]), int(share[-1]) + 1)
        return maker.fill(task.epoch, task.rows[part], buffer.view(len(task.rows))[part])

    def close(self) -> None:
        if self._pool is not None and self._pool_pid == os.getpid():
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool, self._spare_buffers = None, []

    def __reduce__(self) -> tuple[Any, ...]:
        return ThreadEngine, (self._source, self._image_config, self._worker_config)


ENGINE = EngineEntry(
    name="threads",
    create=lambda source, image_config, worker_config, device: ThreadEngine(
        source, image_config, worker_config
    ),
)
