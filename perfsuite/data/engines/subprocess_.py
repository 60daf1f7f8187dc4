"""The engine whose threads live in one process apart: two processes that see the same slots."""

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
    ExclusiveIteration,
    Faults,
    ThreadEngine,
    WorkerConfig,
    ignore_sigint,
    limit_library_threads,
    max_batch_rows,
    prefetch_in_order,
)
from perfsuite.data.engines.processes import (
    opencv_threads_disabled,
    resolve_start_method,
    worker_death_advice,
)
from perfsuite.data.faults import Fault
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_file import set_pixel_limit
from perfsuite.data.sources.files import ImageSource
from perfsuite.errors import DataError


class SubprocessEngine:
    """One process apart, with threads: the caller's process is left to training, memory is not multiplied.

    Both see the slots; only numbers are sent.
    """

    name = "subprocess"

    def __init__(self, source: ImageSource, recipe: ImageConfig, how: WorkerConfig) -> None:
        self._source, self._image_config, self._worker_config = source, recipe, how
        self._start = resolve_start_method(how.start)
        self._process: Any = None
        self._pipe: Any = None
        self._slots: list[BatchBuffer] = []
        self._owner_pid = 0  # process: a forked child of the caller has no say over its worker
        self._exclusive = ExclusiveIteration()

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        return self._exclusive.iterate(self._run(tasks))

    def _run(self, tasks: Sequence[BatchTask]) -> Generator[Batch]:
        self._ensure_process(max_batch_rows(tasks))
        flying: dict[int, Future[Faults]] = {}
        places = {id(slot): place for place, slot in enumerate(self._slots)}

        def submit(task: BatchTask, slot: BatchBuffer) -> list[Future[Faults]]:
            future: Future[Faults] = _PipeFuture(self, flying)
            flying[places[id(slot)]] = future
            self._send((places[id(slot)], task))
            return [future]

        yield from prefetch_in_order(tasks, deque(self._slots), submit, self._worker_config.prefetch)

    def receive_result(self, flying: dict[int, Future[Faults]]) -> None:
        """Take the next answer, whichever slot it is for."""
        if self._process is None:
            raise DataError("loader: its process has ended, expected one that fills this batch")
        try:
            wait([self._pipe, self._process.sentinel])
            if not self._pipe.poll():
                raise self._worker_death_error()
            place, faults, error = self._pipe.recv()
        except (EOFError, OSError) as closed:
            raise self._worker_death_error() from closed
        except KeyboardInterrupt:
            self.close()  # an answer may have been cut off: the next iteration starts another process
            raise
        future = flying.pop(place)
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
        return DataError(f"loader: its process ended with exit code {code}; {worker_death_advice(codes)}")

    def _ensure_process(self, rows: int) -> None:
        is_ours = self._owner_pid == os.getpid()
        if is_ours and self._process is not None and len(self._slots[0].labels) >= rows:
            return
        self.close()
        self._owner_pid = os.getpid()
        context = torch_multiprocessing.get_context(self._start)
        slots = range(self._worker_config.prefetch + 1)
        self._slots = [BatchBuffer.new(rows, self._image_config.batch_layout, shared_empty) for _ in slots]
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_worker_main,
            args=(self._source, self._image_config, self._worker_config, self._slots, theirs),
            name="perfsuite-feed",
            daemon=True,
        )
        with opencv_threads_disabled():
            self._process.start()
        theirs.close()

    def close(self) -> None:
        if self._owner_pid != os.getpid():
            self._pipe = self._process = None
        if self._pipe is not None:
            # A forked process holds this end of the pipe as well, and so never sees it closed.
            with suppress(OSError):
                self._pipe.send(None)
            self._pipe.close()
        if self._process is not None:
            self._process.join(5)
            if self._process.is_alive():
                self._process.terminate()
                self._process.join()
        self._pipe = self._process = None
        self._slots = []

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return SubprocessEngine, (self._source, self._image_config, self._worker_config)


class _PipeFuture(Future[Faults]):
    """A future whose answer is fetched by whoever waits for it."""

    def __init__(self, engine: SubprocessEngine, flying: dict[int, Future[Faults]]) -> None:
        super().__init__()
        self._engine, self._flying = engine, flying

    def cancel(self) -> bool:
        return False  # it is being filled, and its slot may not be reused before

    def result(self, timeout: float | None = None) -> Faults:
        while not self.done():
            self._engine.receive_result(self._flying)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        try:
            self.result()
        except Exception as error:
            return error
        return None


def _worker_main(
    source: ImageSource, recipe: ImageConfig, how: WorkerConfig, slots: list[BatchBuffer], pipe: Connection
) -> None:
    """Fill slots until the pipe is closed, or whoever holds its other end has ended."""
    ignore_sigint()
    limit_library_threads()
    caller = parent_process()
    ends: list[Any] = [pipe] if caller is None else [pipe, caller.sentinel]
    threads = ThreadEngine(source, recipe, how)
    sending = threading.Lock()

    def answer(place: int, parts: list[Future[Faults]]) -> None:
        with sending:
            try:
                pipe.send((place, *_collect_faults(parts)))
            except OSError:
                return  # nobody is waiting any more

    while True:
        try:
            wait(ends)
            # A caller that was killed closes nothing where its workers were forked: each holds its end too.
            message = pipe.recv() if pipe.poll() else None
        except (EOFError, OSError):
            break
        if message is None:
            break
        place, task = message
        set_pixel_limit(task.max_image_pixels)
        parts = threads.submit(task, slots[place])
        call_when_all_done(parts, partial(answer, place, parts))
    threads.close()


def call_when_all_done(futures: list[Future[Faults]], then: Callable[[], None]) -> None:
    """Call `then` once, from the thread that finishes last."""
    lock, left = threading.Lock(), [len(futures)]

    def one(_: Future[Faults]) -> None:
        with lock:
            left[0] -= 1
            last = left[0] == 0
        if last:
            then()

    for future in futures:
        future.add_done_callback(one)


def _collect_faults(parts: list[Future[Faults]]) -> tuple[Faults, Any]:
    """What could not be read; or an error, as it is to be raised where the caller is."""
    faults: list[Fault] = []
    for part in parts:
        error = part.exception()
        if error is not None:
            return (), error if isinstance(error, DataError) else _make_picklable(error)
        faults += part.result()
    return tuple(faults), None


def _make_picklable(error: BaseException) -> Any:
    """An error that takes along where it was raised; as words where it cannot be sent itself."""
    told = ExceptionWithTraceback(error, error.__traceback__)
    try:
        pickle.loads(pickle.dumps(told))  # noqa: S301 - what was made a line above
    except Exception:  # whatever keeps it from being sent
        return RuntimeError("".join(traceback.format_exception(error)))
    return told
