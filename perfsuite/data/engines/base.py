"""Who fills the batches: the caller itself, threads, worker processes, or threads in one process apart.

Every engine fills the same slots with the same images; they differ in speed and in what they take from the
caller's process. A batch is the caller's until the next one is asked for: then its slot is filled anew.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask
from perfsuite.data.faults import Fault
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.sources.files import ImageSource

ENGINES = ("threads", "processes", "subprocess")
Faults = tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """How many workers fill batches, how far ahead of the caller, and where they run."""

    workers: int = 2
    prefetch: int = 2  # batches beyond the one that the caller holds
    pinned: bool = False
    start: str | None = None  # how worker processes begin: fork, forkserver or spawn
    cores: tuple[int, ...] = ()  # workers are bound to these, one after the other

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(f"num_workers: {self.workers}, expected 0 or more")
        if self.prefetch < 1:
            raise ValueError(f"prefetch_factor: {self.prefetch}, expected 1 or more")
        if self.cores:
            _check_cores(self.cores, self.workers)


class Engine(Protocol):
    """Fills tasks, in their order."""

    @property
    def name(self) -> str: ...

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]: ...

    def close(self) -> None: ...


class InlineEngine:
    """No worker: the caller fills each batch when it asks for it."""

    name = "inline"

    def __init__(self, source: ImageSource, recipe: ImageConfig) -> None:
        self._source, self._image_config = source, recipe
        self._maker: ImageMaker | None = None

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        if self._maker is None:
            self._maker = ImageMaker(self._source, self._image_config)
        slot = BatchBuffer.new(max_batch_rows(tasks), self._image_config.batch_layout)
        for task in tasks:
            places = len(task.rows)
            faults = self._maker.fill(task.epoch, task.rows, slot.view(places))
            yield slot.to_batch(places, faults)

    def close(self) -> None:
        self._maker = None

    def __reduce__(self) -> tuple[Any, ...]:
        return InlineEngine, (self._source, self._image_config)


class ThreadEngine:
    """Threads of this process, each filling its share of every batch; decoding holds no lock of Python."""

    name = "threads"

    def __init__(self, source: ImageSource, recipe: ImageConfig, how: WorkerConfig) -> None:
        self._source, self._image_config, self._worker_config = source, recipe, how
        self._allocate_tensor = partial(torch.empty, pin_memory=True) if how.pinned else torch.empty
        self._numbers = count()
        self._makers = threading.local()
        self._pool: ThreadPoolExecutor | None = None
        self._pool_pid = 0  # process: a forked child has its parent's pool and none of its threads
        self._spare_buffers: list[BatchBuffer] = []

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        rows = max_batch_rows(tasks)
        self._spare_buffers = [slot for slot in self._spare_buffers if len(slot.labels) >= rows]
        slots = deque(self._take_buffer(rows) for _ in range(self._worker_config.prefetch + 1))
        try:
            yield from prefetch_in_order(tasks, slots, self.submit, self._worker_config.prefetch)
        finally:
            self._spare_buffers += slots

    def _take_buffer(self, rows: int) -> BatchBuffer:
        return (
            self._spare_buffers.pop()
            if self._spare_buffers
            else BatchBuffer.new(rows, self._image_config.batch_layout, self._allocate_tensor)
        )

    def submit(self, task: BatchTask, slot: BatchBuffer) -> list[Future[Faults]]:
        """Begin to fill the slot; one future for each share of it."""
        if self._pool is None or self._pool_pid != os.getpid():
            self._pool_pid = os.getpid()
            self._pool = ThreadPoolExecutor(self._worker_config.workers, thread_name_prefix="perfsuite-feed")
        shares = np.array_split(
            np.arange(len(task.rows)), min(self._worker_config.workers, len(task.rows)) or 1
        )
        return [self._pool.submit(self._fill, task, slot, share) for share in shares]

    def _fill(self, task: BatchTask, slot: BatchBuffer, share: NDArray[np.int64]) -> Faults:
        maker: ImageMaker | None = getattr(self._makers, "maker", None)
        if maker is None:
            pin_to_core(self._worker_config.cores, next(self._numbers))
            maker = self._makers.maker = ImageMaker(self._source, self._image_config)
        if not len(share):
            return ()
        part = slice(int(share[0]), int(share[-1]) + 1)
        return maker.fill(task.epoch, task.rows[part], slot.view(len(task.rows))[part])

    def close(self) -> None:
        if self._pool is not None and self._pool_pid == os.getpid():
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool, self._spare_buffers = None, []

    def __reduce__(self) -> tuple[Any, ...]:
        return ThreadEngine, (self._source, self._image_config, self._worker_config)


class ExclusiveIteration:
    """For what serves one iteration: a new one ends the one before, which says so when it is asked again."""

    def __init__(self) -> None:
        self._active: Generator[Batch] | None = None

    def iterate(self, batches: Generator[Batch]) -> Iterator[Batch]:
        before, self._active = self._active, batches
        if before is not None:
            before.close()
        try:
            while self._active is batches:
                try:
                    batch = next(batches)
                except StopIteration:
                    return
                yield batch
            raise RuntimeError(
                "loader: another iteration has begun over the same workers, which ended this one; "
                "engine='threads' serves several at once"
            )
        finally:
            batches.close()
            if self._active is batches:
                self._active = None


Submit = Callable[[BatchTask, BatchBuffer], list["Future[Faults]"]]


def prefetch_in_order(
    tasks: Iterable[BatchTask], slots: deque[BatchBuffer], submit: Submit, ahead: int
) -> Iterator[Batch]:
    """Keep `ahead` tasks under way beyond the one that the caller holds; leave nothing writing at the end."""
    waiting = iter(tasks)
    flying: deque[tuple[BatchTask, BatchBuffer, list[Future[Faults]]]] = deque()
    held: BatchBuffer | None = None
    try:
        while True:
            while len(flying) < ahead and (task := next(waiting, None)) is not None:
                slot = slots.popleft()
                flying.append((task, slot, []))
                flying[-1][2].extend(submit(task, slot))
            if not flying:
                return
            task, held, parts = flying[0]
            faults = tuple(fault for part in parts for fault in part.result())
            flying.popleft()
            yield held.to_batch(len(task.rows), faults)
            slots.append(held)
            held = None
    finally:
        for _, _, parts in flying:
            for part in parts:
                part.cancel()
        for _, slot, parts in flying:
            for part in parts:
                if not part.cancelled():
                    part.exception()  # waits; an error of a batch that nobody asked for is not raised
            slots.append(slot)
        if held is not None and not any(held is slot for slot in slots):
            slots.append(held)


def max_batch_rows(tasks: Sequence[BatchTask]) -> int:
    return max((len(task.rows) for task in tasks), default=0)


def ignore_sigint() -> None:
    """In a worker process: Ctrl-C reaches it too, but what is to end is for the caller to say."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def limit_library_threads() -> None:
    """In a worker: libraries with threads of their own would multiply with the number of workers."""
    torch.set_num_threads(1)
    try:
        import cv2
    except ImportError:
        return
    # In a forked worker even asking for what is so already would wait for threads that fork left behind.
    if cv2.getNumThreads() != 1:
        cv2.setNumThreads(1)


def pin_to_core(cores: Sequence[int], number: int) -> None:
    """In a worker: bind it to the core that is its turn."""
    if cores:
        os.sched_setaffinity(0, {cores[number % len(cores)]})


def _check_cores(cores: Sequence[int], workers: int) -> None:
    """That there are such cores, and workers to bind to them."""
    if not hasattr(os, "sched_setaffinity"):
        raise ValueError("cores: this system binds no worker to a core; leave them out")
    able = os.sched_getaffinity(0)
    if workers == 0 or not set(cores) <= able:
        raise ValueError(
            f"cores: {list(cores)} for {workers} workers, expected some of {sorted(able)} and a worker"
        )


def make_engine(name: str, source: ImageSource, recipe: ImageConfig, how: WorkerConfig) -> Engine:
    """The engine of that name; without workers the caller does the work itself."""
    if name not in (*ENGINES, "auto"):
        raise ValueError(f"engine: {name!r}, expected auto, device or one of {', '.join(ENGINES)}")
    if how.workers == 0:
        return InlineEngine(source, recipe)
    if name == "auto":
        from perfsuite.data.engines.auto import AutoEngine

        return AutoEngine(source, recipe, how)
    if name == "threads":
        return ThreadEngine(source, recipe, how)
    if name == "processes":
        from perfsuite.data.engines.processes import Processes

        return Processes(source, recipe, how)
    from perfsuite.data.engines.subprocess_ import SubprocessEngine

    return SubprocessEngine(source, recipe, how)
