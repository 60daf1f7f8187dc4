"""Threads of the caller's process. Decoding releases the GIL, so they run in parallel."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask
from perfsuite.data.engines.base import EngineEntry, Faults, WorkerConfig, max_batch_rows
from perfsuite.data.engines.prefetch import prefetch_in_order
from perfsuite.data.engines.stuck_workers import IDLE, CurrentRows, busy_threads, stuck_error
from perfsuite.data.engines.worker_environment import pin_to_core
from perfsuite.data.engines.worker_threads import WorkerThreads
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.sources.base import ImageSource


class ThreadEngine:
    """Threads that each fill a share of every batch."""

    name = "threads"

    def __init__(
        self,
        source: ImageSource,
        image_config: ImageConfig,
        worker_config: WorkerConfig,
        current_rows: CurrentRows | None = None,
    ) -> None:
        """`current_rows` is written by the threads: one element for each."""
        self._source, self._image_config, self._worker_config = source, image_config, worker_config
        self._empty = partial(torch.empty, pin_memory=True) if worker_config.pin_memory else torch.empty
        self._team: _Team | None = None
        self._current_rows = current_rows

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        rows = max_batch_rows(tasks)
        team = self._ensure_team()
        team.spare_buffers = [buffer for buffer in team.spare_buffers if len(buffer.labels) >= rows]
        ahead = self._worker_config.prefetch_factor
        buffers = deque(self._take_buffer(team, rows) for _ in range(ahead + 1))
        try:
            yield from prefetch_in_order(tasks, buffers, team, ahead)
        finally:
            team.spare_buffers += buffers

    def submit(self, task: BatchTask, buffer: BatchBuffer) -> list[Future[Faults]]:
        """Start to fill the buffer; return one future for each share of it."""
        return self._ensure_team().submit(task, buffer)

    def _take_buffer(self, team: _Team, rows: int) -> BatchBuffer:
        if team.spare_buffers:
            return team.spare_buffers.pop()
        return BatchBuffer.new(rows, self._image_config.batch_layout, self._empty)

    def _ensure_team(self) -> _Team:
        if self._team is None or not self._team.is_usable:
            self._team = _Team(self._source, self._image_config, self._worker_config, self._current_rows)
        return self._team

    def close(self) -> None:
        team, self._team = self._team, None
        if team is not None:
            team.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return ThreadEngine, (self._source, self._image_config, self._worker_config)


class _Team:
    """The threads of one process, until they are closed or abandoned, and the buffers that they may fill."""

    def __init__(
        self,
        source: ImageSource,
        image_config: ImageConfig,
        worker_config: WorkerConfig,
        current_rows: CurrentRows | None,
    ) -> None:
        self._source, self._image_config, self._worker_config = source, image_config, worker_config
        count = worker_config.num_workers
        self._current_rows = np.full(count, IDLE, np.int64) if current_rows is None else current_rows
        self._threads = WorkerThreads(count, "perfsuite-load")
        self._makers = threading.local()
        self._makers_made = 0
        self._counting = threading.Lock()
        self._failure: Exception | None = None
        self.spare_buffers: list[BatchBuffer] = []

    @property
    def is_usable(self) -> bool:
        return self._failure is None and self._threads.is_usable

    def submit(self, task: BatchTask, buffer: BatchBuffer) -> list[Future[Faults]]:
        workers = self._worker_config.num_workers
        shares = np.array_split(np.arange(len(task.rows)), min(workers, len(task.rows)) or 1)
        return [self._threads.submit(self._fill, task, buffer, share) for share in shares]

    def wait(self, futures: Sequence[Future[Faults]]) -> None:
        if self._failure is not None:
            raise self._failure
        # A queue, because an Event's lock breaks if Ctrl-C comes while its holder waits.
        done: SimpleQueue[Future[Faults]] = SimpleQueue()
        for future in futures:
            future.add_done_callback(done.put)
        for _ in futures:
            try:
                done.get(timeout=self._worker_config.timeout_or_none)
            except Empty:
                workers = busy_threads(self._current_rows)
                failure = stuck_error(self._source, workers, self._worker_config.timeout)
                self.abandon(failure)
                raise failure from None

    def abandon(self, failure: Exception | None = None) -> None:
        self._failure = failure or RuntimeError("loader: its threads were abandoned after an interrupt")
        self._threads.close(wait_seconds=0)

    def close(self) -> None:
        self._threads.close(0 if self._failure is not None else self._worker_config.timeout_or_none)

    def _fill(self, task: BatchTask, buffer: BatchBuffer, share: NDArray[np.int64]) -> Faults:
        if not len(share):
            return ()
        number, maker = self._own_maker()
        part = slice(int(share[0]), int(share[-1]) + 1)
        try:
            return maker.fill(task.epoch, task.rows[part], buffer.view(len(task.rows))[part])
        finally:
            self._current_rows[number] = IDLE

    def _own_maker(self) -> tuple[int, ImageMaker]:
        """The number and the ImageMaker of the calling thread."""
        own: tuple[int, ImageMaker] | None = getattr(self._makers, "own", None)
        if own is None:
            with self._counting:
                number, self._makers_made = self._makers_made, self._makers_made + 1
            pin_to_core(self._worker_config.cores, number)
            current_row = self._current_rows[number : number + 1]
            own = self._makers.own = number, ImageMaker(self._source, self._image_config, current_row)
        return own


ENGINE = EngineEntry(
    name="threads",
    create=lambda source, image_config, worker_config, device: ThreadEngine(
        source, image_config, worker_config
    ),
)
