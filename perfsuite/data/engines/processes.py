"""Engines whose work happens in other processes, under fork, forkserver or spawn."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask, shared_empty
from perfsuite.data.engines.base import (
    ExclusiveIteration,
    WorkerConfig,
    ignore_sigint,
    limit_library_threads,
    pin_to_core,
)
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_file import set_pixel_limit
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.sources.files import ImageSource
from perfsuite.errors import DataError

# fork copies whatever threads and locks the caller has; a server forked before there were any is safe.
DEFAULT_START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"


def resolve_start_method(start: str | None) -> str:
    chosen = start or DEFAULT_START_METHOD
    if chosen not in multiprocessing.get_all_start_methods():
        known = ", ".join(multiprocessing.get_all_start_methods())
        raise ValueError(f"start_method: {chosen!r}, expected one of {known}")
    if chosen == "forkserver":
        # The server imports torch once; every worker is then forked from it at once.
        multiprocessing.set_forkserver_preload(["__main__", "perfsuite.data.engines.fork_server_preload"])
    return chosen


# In a forked child: when torch frees these, it ends the workers of the process that it was forked from.
_inherited_iterators: list[object] = []


@contextmanager
def opencv_threads_disabled() -> Iterator[None]:
    """While workers are forked: OpenCV's threads do not come along, but its waiting for them does."""
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


class _TaskSampler(Sampler[BatchTask]):
    """The tasks of the epoch that is about to be run; persistent workers get them one by one."""

    def __init__(self) -> None:
        self.tasks: Sequence[BatchTask] = ()

    def __iter__(self) -> Iterator[BatchTask]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)


class _BatchDataset(Dataset[Any]):
    """What a worker process runs: a task in, a filled batch out through shared memory."""

    def __init__(self, source: ImageSource, recipe: ImageConfig, cores: Sequence[int]) -> None:
        self._source, self._image_config, self._cores = source, recipe, cores
        self._maker: ImageMaker | None = None

    def __getitem__(self, task: BatchTask) -> Batch | str:
        if self._maker is None:
            worker = get_worker_info()
            pin_to_core(self._cores, worker.id if worker else 0)
            limit_library_threads()
            self._maker = ImageMaker(self._source, self._image_config)
        set_pixel_limit(task.max_image_pixels)
        places = len(task.rows)
        try:
            slot = BatchBuffer.new(places, self._image_config.batch_layout, shared_empty)
            faults = self._maker.fill(task.epoch, task.rows, slot.view(places))
            # Shared here: where there is no room, the thread that sends it would fail and nobody hear of it.
            return slot.to_batch(places, faults).shared()
        except DataError as error:
            return str(error)  # raised again where the user is, without the worker's traceback


class Processes:
    """torch's DataLoader with whole batches as items: one message a batch."""

    name = "processes"

    def __init__(self, source: ImageSource, recipe: ImageConfig, how: WorkerConfig) -> None:
        self._source, self._image_config, self._worker_config = source, recipe, how
        self._exclusive = ExclusiveIteration()
        self._owner_pid = os.getpid()
        self._tasks = _TaskSampler()
        self._loader: DataLoader[Any] = DataLoader(
            _BatchDataset(source, recipe, how.cores),
            sampler=self._tasks,
            batch_size=None,
            num_workers=how.workers,
            prefetch_factor=how.prefetch,
            persistent_workers=True,
            pin_memory=how.pinned,
            worker_init_fn=_initialize_worker,
            multiprocessing_context=resolve_start_method(how.start),
        )

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        return self._exclusive.iterate(self._run(tasks))

    def _run(self, tasks: Sequence[BatchTask]) -> Generator[Batch]:
        self._tasks.tasks = tasks
        if self._owner_pid != os.getpid():
            self.close()
            self._owner_pid = os.getpid()
        with opencv_threads_disabled():
            batches = iter(self._loader)
        given = 0
        while True:
            try:
                found = next(batches)
            except StopIteration as error:
                if given < len(tasks):  # raised in a worker, where torch takes it for the end of the epoch
                    raise DataError(
                        f"loader: a StopIteration after {given} of {len(tasks)} batches, expected none from "
                        f"a source; raise another error there ({error})"
                    ) from error
                return
            except (RuntimeError, OSError, EOFError) as error:
                told = explain_worker_death(error, self._exit_codes())
                if told is error:
                    raise
                self.close()  # the others; the next iteration starts new ones
                raise told from error
            if isinstance(found, str):
                raise DataError(found)
            given += 1
            yield found

    def _exit_codes(self) -> list[int]:
        workers = getattr(self._loader._iterator, "_workers", ())
        return [worker.exitcode for worker in workers if worker.exitcode is not None]

    def close(self) -> None:
        iterator = self._loader._iterator
        if self._owner_pid != os.getpid():
            _inherited_iterators.append(iterator)
        elif iterator is not None:
            # That one of them was killed is told where a batch was waited for; torch's signal handler may
            # say it here once more. It ends the others all the same.
            with suppress(RuntimeError):
                iterator._shutdown_workers()  # type: ignore[attr-defined]
        self._loader._iterator = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Processes, (self._source, self._image_config, self._worker_config)


def _initialize_worker(worker: int) -> None:
    ignore_sigint()


def explain_worker_death(error: Exception, exit_codes: Sequence[int] = ()) -> Exception:
    """Say what to do when workers die; other errors stay as they are."""
    told = str(error)
    # It died while it handed a batch over, unless torch says that this was caught in what it ran.
    is_cut_off = isinstance(error, OSError | EOFError) and not told.startswith("Caught ")
    how = ("exited unexpectedly", "killed by signal", "shared memory")
    if not is_cut_off and not any(words in told for words in how):
        return error
    first = told.splitlines()[0] if told else "a worker ended while it handed a batch over"
    return DataError(f"loader: {first}; {worker_death_advice(exit_codes)}")


def worker_death_advice(exit_codes: Sequence[int]) -> str:
    """About workers that ended: by themselves with an error, or by a signal, as when memory runs out.

    >>> worker_death_advice([1]).partition(":")[0]
    'it failed by itself, and has printed why'
    """
    if 1 in exit_codes:  # Python's, for an error that nobody caught
        return (
            "it failed by itself, and has printed why: a script that loads images outside of "
            "`if __name__ == '__main__':` is run again by each worker, unless start_method='fork'; "
            "engine='threads' needs no worker process"
        )
    return (
        "fewer num_workers or a smaller batch_size need less memory (also of /dev/shm), and "
        "engine='threads' needs no worker process"
    )
