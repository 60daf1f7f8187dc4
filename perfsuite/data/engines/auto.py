"""The engine that `auto` selects: threads, or processes if the GIL lets only one thread work at a time."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.data.batch import Batch, BatchTask
from perfsuite.data.cache.protocol import AugmentedImageCache, DecodedImageCache
from perfsuite.data.engines.base import Engine, EngineEntry, WorkerConfig
from perfsuite.data.engines.processes import ProcessEngine
from perfsuite.data.engines.threads import ThreadEngine
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.sources.base import ImageSource
from perfsuite.timer import Timer, busy_seconds, default_timer

# Two threads show it; more would only wake up more often to ask for the GIL, which counts as busy too.
THREADS = 2
# Threads that wait for the GIL keep hardly more than one core busy.
MIN_BUSY_RATIO = 1.35
TURNS = 5
TURN_SECONDS = 0.03  # approximate
MAX_SECONDS = 1.0  # of all turns; one turn is taken however slow images are
MAX_TIMED_IMAGES = 32
# Sending an image between processes costs about as much as making a faster image than this.
MIN_IMAGE_SECONDS_FOR_PROCESSES = 5e-4


class AutoEngine:
    """Times threads on the first batch's images, a fraction of a second, and then uses the chosen engine."""

    def __init__(
        self,
        source: ImageSource,
        image_config: ImageConfig,
        worker_config: WorkerConfig,
    ) -> None:
        self._source, self._image_config, self._worker_config = source, image_config, worker_config
        self._engine: Engine | None = None

    @property
    def name(self) -> str:
        """The chosen engine's name; `auto` until the first batch is requested."""
        return "auto" if self._engine is None else self._engine.name

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        if self._engine is None and tasks:
            self._engine = self._choose(tasks[0].rows)
        if self._engine is not None:
            yield from self._engine.run(tasks)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return AutoEngine, (self._source, self._image_config, self._worker_config)

    def _choose(self, rows: NDArray[np.int64]) -> Engine:
        source, image_config, worker_config = self._source, self._image_config, self._worker_config
        start_method = preferred_start_method(worker_config.start_method)
        if self._needs_processes(rows) and (start_method == "fork" or _is_picklable(source, image_config)):
            return ProcessEngine(source, image_config, replace(worker_config, start_method=start_method))
        return ThreadEngine(source, image_config, worker_config)

    def _needs_processes(self, rows: NDArray[np.int64]) -> bool:
        is_cached = isinstance(self._source, DecodedImageCache | AugmentedImageCache)
        if is_cached or self._worker_config.num_workers < 2:
            return False
        alone, together = time_threads(self._source, self._image_config, self._worker_config, rows)
        return is_gil_bound(alone, together)


@dataclass(frozen=True, slots=True)
class ThreadUse:
    """What loading images took: time that passed, and time of threads that were busy, summed over them."""

    images: int
    seconds: float
    busy_seconds: float

    @property
    def busy_threads(self) -> float:
        return self.busy_seconds / self.seconds


def is_gil_bound(alone: ThreadUse, together: ThreadUse) -> bool:
    """Whether threads wait for each other, given what one thread used and what two used.

    Rates would tell as well on an idle machine. Beside other processes they scatter more than they differ.

    >>> alone = ThreadUse(images=4, seconds=0.04, busy_seconds=0.04)
    >>> is_gil_bound(alone, ThreadUse(4, 0.03, 0.06)), is_gil_bound(alone, ThreadUse(4, 0.04, 0.043))
    (False, True)
    """
    if alone.seconds <= MIN_IMAGE_SECONDS_FOR_PROCESSES * alone.images:
        return False
    return _busy_ratio(alone, together) < MIN_BUSY_RATIO


def _busy_ratio(alone: ThreadUse, together: ThreadUse) -> float:
    return together.busy_threads / max(alone.busy_threads, 1e-9)  # a coarse clock may show nothing


def time_threads(
    source: ImageSource,
    image_config: ImageConfig,
    worker_config: WorkerConfig,
    rows: NDArray[np.int64],
    timer: Timer = default_timer,
    busy_timer: Timer = busy_seconds,
) -> tuple[ThreadUse, ThreadUse]:
    """Measure one thread and two, in turns on the same images; return the turns of the median ratio."""
    # A fault is reported when the image is requested, not here. Maps count how often they are read.
    image_config = replace(image_config, on_error="substitute", refill=False, maps=None)

    def use_of(engine: Engine, rows: NDArray[np.int64]) -> ThreadUse:
        start, busy_start = timer(), busy_timer()
        for _ in engine.run([BatchTask(0, rows)]):
            pass
        return ThreadUse(len(rows), timer() - start, busy_timer() - busy_start)

    # One worker and not the caller's thread, so that the time limit applies.
    worker_config = replace(worker_config, num_workers=1, pin_memory=False, cores=())
    alone = ThreadEngine(source, image_config, worker_config)
    together = ThreadEngine(source, image_config, replace(worker_config, num_workers=THREADS))
    try:
        use_of(alone, rows[:1])  # imports
        seconds = use_of(alone, rows[:1]).seconds
        rows = np.resize(rows, int(min(MAX_TIMED_IMAGES, max(THREADS, TURN_SECONDS / seconds))))
        use_of(together, rows[:THREADS])
        end = timer() + MAX_SECONDS
        uses: list[tuple[ThreadUse, ThreadUse]] = []
        while not uses or (len(uses) < TURNS and timer() < end):
            uses.append((use_of(alone, rows), use_of(together, rows)))
    finally:
        alone.close()
        together.close()
    # The median: a turn may include the compilation of a kernel, which holds the GIL.
    uses.sort(key=lambda use: _busy_ratio(*use))
    return uses[len(uses) // 2]


def preferred_start_method(start_method: str | None) -> str | None:
    """Return the given method, else fork where it is safe: it needs no pickling and no `__main__` guard."""
    if start_method is not None or sys.platform != "linux" or torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return start_method
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else None


def _is_picklable(source: ImageSource, image_config: ImageConfig) -> bool:
    try:
        pickle.dumps((source, image_config))
    except Exception:  # anything that prevents pickling
        return False
    return True


ENGINE = EngineEntry(
    name="auto",
    create=lambda source, image_config, worker_config, device: AutoEngine(
        source, image_config, worker_config
    ),
)
