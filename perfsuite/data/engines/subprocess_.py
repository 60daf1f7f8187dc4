"""Threads in one subprocess. It fills batches in shared memory, and only messages pass through a pipe."""

from __future__ import annotations

import os
import pickle
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]
from typing import Any

from torch import multiprocessing as torch_multiprocessing

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask, shared_empty
from perfsuite.data.engines.base import (
    EngineEntry,
    ExclusiveIteration,
    Faults,
    WorkerConfig,
    max_batch_rows,
)
from perfsuite.data.engines.prefetch import prefetch_in_order
from perfsuite.data.engines.threads import ThreadEngine
from perfsuite.data.engines.worker_setup import (
    ignore_sigint,
    limit_library_threads,
    opencv_threads_disabled,
    resolve_start_method,
    worker_death_advice,
)
from perfsuite.data.faults import Fault
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_file import set_pixel_limit
from perfsuite.data.sources.base import ImageSource
from perfsuite.errors import DataError


class SubprocessEngine:
    """One subprocess with threads: it leaves the caller's process to training, and memory is not multiplied.

    Both processes map the batches' memory. Task and fault messages are sent, images are not.
    """

    name = "subprocess"

    def __init__(self, source: ImageSource, image_config: ImageConfig, worker_config: WorkerConfig) -> None:
        self._source, self._image_config, self._worker_config = source, image_config, worker_config
        self._start_method = resolve_start_method(worker_config.start_method)
        self._process: Any = None
        self._pipe: Any = None
        self._buffers: list[BatchBuffer] = []
        self._owner_pid = 0  # a forked child of the caller must not stop the worker
        self._exclusive = ExclusiveIteration()

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        return self._exclusive.iterate(self._run(tasks))

    def _run(self, tasks: Sequence[BatchTask]) -> Generator[Batch]:
        self._ensure_process(max_batch_rows(tasks))
        pending: dict[int, Future[Faults]] = {}
        buffer_numbers = {id(buffer): number for number, buffer in enumerate(self._buffers)}

        def submit(task: BatchTask, buffer: BatchBuffer) -> list[Future[Faults]]:
            number = buffer_numbers[id(buffer)]
            future: Future[Faults] = _PipeFuture(self, pending)
            pending[number] = future
            self._send((number, task))
            return [future]

        yield from prefetch_in_order(tasks, deque(self._buffers), submit, self._worker_config.prefetch_factor)

    def receive_result(self, pending: dict[int, Future[Faults]]) -> None:
        """Receive the next result, for whichever buffer, and resolve its future."""
        if self._process is None:
            raise DataError(
                "loader: its subprocess has ended, expected one that fills this batch; start a new iteration"
            )
        try:
            wait([self._pipe, self._process.sentinel])
            if not self._pipe.poll():
                raise self._worker_death_error()
            number, faults, error = self._pipe.recv()
        except (EOFError, OSError) as closed:
            raise self._worker_death_error() from closed
        except KeyboardInterrupt:
            self.close()  # a result may be half read: the next iteration starts another process
            raise
        future = pending.pop(number)
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(faults)

    def _send(self, message: Any) -> None:
        try:
            self._pipe.send(message)
        except OSError as error:
            raise self._worker_death_error() from error

    def _worker_death_error(self) -> DataError:
        self._process.join(1)
        code = self._process.exitcode
        self.close()
        codes = [] if code is None else [code]
        return DataError(f"loader: its subprocess ended with exit code {code}; {worker_death_advice(codes)}")

    def _ensure_process(self, rows: int) -> None:
        is_owner = self._owner_pid == os.getpid()
        if is_owner and self._process is not None and len(self._buffers[0].labels) >= rows:
            return
        self.close()
        self._owner_pid = os.getpid()
        context = torch_multiprocessing.get_context(self._start_method)
        layout = self._image_config.batch_layout
        self._buffers = [
            BatchBuffer.new(rows, layout, shared_empty)
            for _ in range(self._worker_config.prefetch_factor + 1)
        ]
        self._pipe, worker_pipe = context.Pipe()
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_worker_main,
            args=(self._source, self._image_config, self._worker_config, self._buffers, worker_pipe),
            name="perfsuite-load",
            daemon=True,
        )
        with opencv_threads_disabled():
            self._process.start()
        worker_pipe.close()

    def close(self) -> None:
        if self._owner_pid != os.getpid():
            self._pipe = self._process = None
        if self._pipe is not None:
            # A forked worker has this end of the pipe too, so closing it does not end the worker's loop.
            with suppress(OSError):
                self._pipe.send(None)
            self._pipe.close()
        if self._process is not None:
            self._process.join(5)
            if self._process.is_alive():
                self._process.terminate()
                self._process.join()
        self._pipe = self._process = None
        self._buffers = []

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return SubprocessEngine, (self._source, self._image_config, self._worker_config)


class _PipeFuture(Future[Faults]):
    """A future whose result is received by the thread that waits for it."""

    def __init__(self, engine: SubprocessEngine, pending: dict[int, Future[Faults]]) -> None:
        super().__init__()
        self._engine, self._pending = engine, pending

    def cancel(self) -> bool:
        return False  # the subprocess is filling the buffer, which may not be reused before

    def result(self, timeout: float | None = None) -> Faults:
        while not self.done():
            self._engine.receive_result(self._pending)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        try:
            self.result()
        except Exception as error:
            return error
        return None


def _worker_main(
    source: ImageSource,
    image_config: ImageConfig,
    worker_config: WorkerConfig,
    buffers: list[BatchBuffer],
    pipe: Connection,
) -> None:
    """Fill buffers until the caller says stop, closes the pipe, or has ended."""
    ignore_sigint()
    limit_library_threads()
    caller = parent_process()
    events: list[Any] = [pipe] if caller is None else [pipe, caller.sentinel]
    threads = ThreadEngine(source, image_config, worker_config)
    send_lock = threading.Lock()

    def send_result(number: int, parts: list[Future[Faults]]) -> None:
        with send_lock:
            try:
                pipe.send((number, *_collect_faults(parts)))
            except OSError:
                return  # the caller has ended

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
        parts = threads.submit(task, buffers[number])
        call_when_all_done(parts, partial(send_result, number, parts))
    threads.close()


def call_when_all_done(futures: list[Future[Faults]], callback: Callable[[], None]) -> None:
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


def _collect_faults(parts: list[Future[Faults]]) -> tuple[Faults, Any]:
    """Return the faults of all parts and no error, or no faults and the error to raise in the caller."""
    faults: list[Fault] = []
    for part in parts:
        error = part.exception()
        if error is not None:
            return (), error if isinstance(error, DataError) else _make_picklable(error)
        faults += part.result()
    return tuple(faults), None


def _make_picklable(error: BaseException) -> Any:
    """Wrap an error with its traceback; one that cannot be pickled becomes a RuntimeError with its text."""
    wrapped = ExceptionWithTraceback(error, error.__traceback__)
    try:
        pickle.loads(pickle.dumps(wrapped))  # noqa: S301 - our own bytes
    except Exception:  # anything that prevents pickling
        return RuntimeError("".join(traceback.format_exception(error)))
    return wrapped


ENGINE = EngineEntry(
    name="subprocess",
    create=lambda source, image_config, worker_config, device: SubprocessEngine(
        source, image_config, worker_config
    ),
)
