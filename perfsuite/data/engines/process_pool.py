"""Worker processes that fill batches in shared memory, whole batches each: the base of two engines."""

from __future__ import annotations

import atexit
import multiprocessing.process
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any
from weakref import WeakSet

import torch
from torch import multiprocessing as torch_multiprocessing

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask, shared_empty
from perfsuite.data.engines.base import ExclusiveIteration, Faults, WorkerConfig, max_batch_rows
from perfsuite.data.engines.prefetch import prefetch_in_order
from perfsuite.data.engines.stuck_workers import IDLE, stuck_error
from perfsuite.data.engines.worker_environment import resolve_start_method, worker_death_error
from perfsuite.data.engines.worker_process import WorkerProcess, WorkerSetup
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.sources.base import ImageSource
from perfsuite.signals import interrupts_deferred

_open_pools: WeakSet[ProcessPool] = WeakSet()


class ProcessPoolEngine:
    """Shares batches out among processes. A subclass decides how many there are, with how many threads."""

    name = "abstract"

    def __init__(self, source: ImageSource, image_config: ImageConfig, worker_config: WorkerConfig) -> None:
        self._source, self._image_config, self._worker_config = source, image_config, worker_config
        self._pool: ProcessPool | None = None
        self._start_method = resolve_start_method(worker_config.start_method)
        self._exclusive = ExclusiveIteration()

    @property
    def process_count(self) -> int:
        raise NotImplementedError

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        return self._exclusive.iterate(self._run(tasks))

    def _run(self, tasks: Sequence[BatchTask]) -> Generator[Batch]:
        pool = self._ensure_pool(max_batch_rows(tasks))
        with closing(prefetch_in_order(tasks, deque(pool.buffers), pool, pool.ahead)) as batches:
            for batch in batches:
                yield batch.pin_memory() if self._worker_config.pin_memory else batch

    def _ensure_pool(self, rows: int) -> ProcessPool:
        pool = self._pool
        if pool is not None and pool.is_usable and pool.rows_per_batch >= rows:
            return pool
        self.close()
        with interrupts_deferred():
            self._pool = pool = ProcessPool(
                self._source,
                self._image_config,
                self._worker_config,
                start_method=self._start_method,
                processes=self.process_count,
                rows=rows,
            )
            pool.start()
        return pool

    def close(self) -> None:
        with interrupts_deferred():
            pool, self._pool = self._pool, None
            if pool is not None:
                pool.close()

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._source, self._image_config, self._worker_config)


class ProcessPool:
    """Processes and the memory of their batches, until they are closed."""

    def __init__(
        self,
        source: ImageSource,
        image_config: ImageConfig,
        worker_config: WorkerConfig,
        *,
        start_method: str,
        processes: int,
        rows: int,
    ) -> None:
        self._source, self._timeout = source, worker_config.timeout
        self._owner_pid = os.getpid()  # a forked child of the caller must leave the workers alone
        self.rows_per_batch = rows
        self.ahead = worker_config.prefetch_factor * processes
        memory = BatchBuffer.new(rows * (self.ahead + 1), image_config.batch_layout, shared_empty)
        self.buffers = [memory.part(rows * n, rows * (n + 1)) for n in range(self.ahead + 1)]
        self._numbers = {id(buffer): number for number, buffer in enumerate(self.buffers)}
        threads = max(1, worker_config.num_workers // processes)
        self._current_rows = shared_empty((processes, threads), torch.int64).fill_(IDLE)
        self._pending: dict[int, tuple[int, Future[Faults]]] = {}  # by buffer: the worker, and its result
        self._failure: Exception | None = None
        context = torch_multiprocessing.get_context(start_method)
        self.workers = [
            WorkerProcess(
                context,
                WorkerSetup(
                    source=source,
                    image_config=image_config,
                    worker_config=_config_of_worker(worker_config, number, threads),
                    memory=memory,
                    rows_per_batch=rows,
                    current_rows=self._current_rows[number],
                ),
            )
            for number in range(processes)
        ]
        _open_pools.add(self)

    @property
    def is_usable(self) -> bool:
        """Whether every message was answered. After an interrupt one may be half sent or half read."""
        return self._failure is None and not self._pending and self._owner_pid == os.getpid()

    def start(self) -> None:
        try:
            for worker in self.workers:
                worker.start()
        except BaseException:
            self.close()
            raise

    def submit(self, task: BatchTask, buffer: BatchBuffer) -> list[Future[Faults]]:
        """Send a task to the worker with the fewest unfinished ones."""
        if self._failure is not None:
            raise self._failure
        unfinished = [0] * len(self.workers)
        for worker, _ in self._pending.values():
            unfinished[worker] += 1
        chosen, number = unfinished.index(min(unfinished)), self._numbers[id(buffer)]
        future: Future[Faults] = Future()
        future.set_running_or_notify_cancel()  # it cannot be canceled: a worker is filling the buffer
        self._pending[number] = chosen, future
        try:
            self.workers[chosen].connection.send((number, task))
        except OSError as error:
            raise self._fail_by_death(chosen) from error
        return [future]

    def wait(self, futures: Sequence[Future[Faults]]) -> None:
        while not all(future.done() for future in futures):
            self._receive()

    def abandon(self) -> None:
        self._fail(RuntimeError("loader: its worker processes were ended after an interrupt"))

    def close(self) -> None:
        """End the workers: in order if they are idle, at once if they are not."""
        if self._owner_pid != os.getpid():
            return
        with interrupts_deferred():
            _open_pools.discard(self)
            is_idle = self.is_usable
            self._failure = self._failure or RuntimeError("loader: its worker processes were closed")
            for worker in self.workers:
                worker.close(is_idle)

    def _receive(self) -> None:
        """Receive one result or more, of whichever batch."""
        if self._failure is not None:
            raise self._failure
        events = [event for worker in self.workers for event in (worker.connection, worker.process.sentinel)]
        ready = wait(events, self._timeout or None)
        if not ready:
            raise self._fail(stuck_error(self._source, self._busy_workers(), self._timeout))
        for number, worker in enumerate(self.workers):
            if worker.connection in ready or worker.process.sentinel in ready:
                self._receive_from(number)

    def _receive_from(self, worker: int) -> None:
        connection = self.workers[worker].connection
        try:
            # A dead worker's last result may have come before its end.
            message = connection.recv() if connection.poll() else None
        except (EOFError, OSError) as error:
            raise self._fail_by_death(worker) from error
        if message is None:
            raise self._fail_by_death(worker)
        number, faults, sent_error = message
        _, future = self._pending.pop(number)
        if sent_error is None:
            future.set_result(faults)
        else:
            future.set_exception(sent_error.unpack())

    def _fail_by_death(self, worker: int) -> Exception:
        process = self.workers[worker].process
        process.join(1)
        rows = self._current_rows[worker]
        return self._fail(worker_death_error(process.exitcode, self._source, rows[rows != IDLE].tolist()))

    def _fail(self, failure: Exception) -> Exception:
        self._failure = failure
        self.close()
        return failure

    def _busy_workers(self) -> list[tuple[str, int | None]]:
        """The threads that are making an image, and the processes with unfinished batches that make none."""
        unfinished = {worker for worker, _ in self._pending.values()}
        busy: list[tuple[str, int | None]] = []
        for number, worker in enumerate(self.workers):
            name = f"worker {number + 1} of {len(self.workers)}, process {worker.process.pid},"
            rows = [row for row in self._current_rows[number].tolist() if row != IDLE]
            busy += [(name, row) for row in rows]
            if not rows and number in unfinished:
                busy.append((name, None))
        return busy


def _config_of_worker(worker_config: WorkerConfig, number: int, threads: int) -> WorkerConfig:
    """Threads for one process, without a time limit: the caller has it."""
    cores = worker_config.cores
    if cores and threads == 1:
        cores = (cores[number % len(cores)],)
    return replace(worker_config, num_workers=threads, cores=cores, timeout=0.0, pin_memory=False)


def _disown_in_child() -> None:
    """In a forked child: keep multiprocessing, which ends its children at exit, from ending the caller's."""
    for pool in list(_open_pools):
        for worker in pool.workers:
            multiprocessing.process._children.discard(worker.process)  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_in_child)


@atexit.register
def _close_at_exit() -> None:
    for pool in list(_open_pools):
        pool.close()
