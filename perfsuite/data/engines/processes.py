"""Worker processes of torch's DataLoader, with whole batches as items."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask, shared_empty
from perfsuite.data.engines.base import EngineEntry, ExclusiveIteration, WorkerConfig
from perfsuite.data.engines.worker_setup import (
    explain_worker_death,
    ignore_sigint,
    limit_library_threads,
    opencv_threads_disabled,
    pin_to_core,
    resolve_start_method,
)
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_file import set_pixel_limit
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.sources.base import ImageSource
from perfsuite.errors import DataError

# In a forked child: if torch freed these iterators, it would stop the workers of the original process.
_inherited_iterators: list[object] = []


class _TaskSampler(Sampler[BatchTask]):
    """The tasks of the current epoch; persistent workers receive them one by one."""

    def __init__(self) -> None:
        self.tasks: Sequence[BatchTask] = ()

    def __iter__(self) -> Iterator[BatchTask]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)


class _BatchDataset(Dataset[Any]):
    """Runs in a worker process: a task in, a filled batch out through shared memory."""

    def __init__(self, source: ImageSource, image_config: ImageConfig, cores: Sequence[int]) -> None:
        self._source, self._image_config, self._cores = source, image_config, cores
        self._maker: ImageMaker | None = None

    def __getitem__(self, task: BatchTask) -> Batch | str:
        if self._maker is None:
            worker = get_worker_info()
            pin_to_core(self._cores, worker.id if worker else 0)
            limit_library_threads()
            self._maker = ImageMaker(self._source, self._image_config)
        set_pixel_limit(task.max_image_pixels)
        count = len(task.rows)
        try:
            buffer = BatchBuffer.new(count, self._image_config.batch_layout, shared_empty)
            faults = self._maker.fill(task.epoch, task.rows, buffer.view(count))
            # Shared here, where a full /dev/shm is an error; in the thread that sends it, it would be silent.
            return buffer.to_batch(count, faults).shared()
        except DataError as error:
            return str(error)  # raised again in the caller, without the worker's traceback


class ProcessEngine:
    """torch's DataLoader with whole batches as items: one message per batch."""

    name = "processes"

    def __init__(self, source: ImageSource, image_config: ImageConfig, worker_config: WorkerConfig) -> None:
        self._source, self._image_config, self._worker_config = source, image_config, worker_config
        self._exclusive = ExclusiveIteration()
        self._owner_pid = os.getpid()
        self._tasks = _TaskSampler()
        self._loader: DataLoader[Any] = DataLoader(
            _BatchDataset(source, image_config, worker_config.cores),
            sampler=self._tasks,
            batch_size=None,
            num_workers=worker_config.num_workers,
            prefetch_factor=worker_config.prefetch_factor,
            persistent_workers=True,
            pin_memory=worker_config.pin_memory,
            worker_init_fn=_initialize_worker,
            multiprocessing_context=resolve_start_method(worker_config.start_method),
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
                item = next(batches)
            except StopIteration as error:
                if given < len(tasks):  # raised in a worker; torch treats it as the end of the epoch
                    raise DataError(
                        f"loader: a StopIteration after {given} of {len(tasks)} batches, expected none from "
                        f"a source; raise another error there ({error})"
                    ) from error
                return
            except (RuntimeError, OSError, EOFError) as error:
                explained = explain_worker_death(error, self._exit_codes())
                if explained is error:
                    raise
                self.close()  # stops the other workers; the next iteration starts new ones
                raise explained from error
            if isinstance(item, str):
                raise DataError(item)
            given += 1
            yield item

    def _exit_codes(self) -> list[int]:
        workers = getattr(self._loader._iterator, "_workers", ())
        return [worker.exitcode for worker in workers if worker.exitcode is not None]

    def close(self) -> None:
        iterator = self._loader._iterator
        if self._owner_pid != os.getpid():
            _inherited_iterators.append(iterator)
        elif iterator is not None:
            # torch's signal handler may report a killed worker here again, after the caller already got an
            # error for it. The other workers are stopped all the same.
            with suppress(RuntimeError):
                iterator._shutdown_workers()  # type: ignore[attr-defined]
        self._loader._iterator = None

    def __reduce__(self) -> tuple[Any, ...]:
        return ProcessEngine, (self._source, self._image_config, self._worker_config)


def _initialize_worker(worker: int) -> None:
    ignore_sigint()


ENGINE = EngineEntry(
    name="processes",
    create=lambda source, image_config, worker_config, device: ProcessEngine(
        source, image_config, worker_config
    ),
)
