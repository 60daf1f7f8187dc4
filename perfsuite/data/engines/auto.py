"""The engine that `auto` selects: threads, or processes if the GIL lets only one thread work at a time."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
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
from perfsuite.timer import Timer, default_timer

# Threads that together do not reach this many times the rate of one mostly wait for each other.
MIN_THREAD_SPEEDUP = 1.25
TURNS = 3
TURN_SECONDS = 0.03  # approximate; if images are slower than that, one turn is enough
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
        timer: Timer = default_timer,
    ) -> None:
        self._source, self._image_config, self._worker_config = source, image_config, worker_config
        self._timer = timer
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
        return AutoEngine, (self._source, self._image_config, self._worker_config, self._timer)

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
        return is_gil_bound(
            *time_threads(self._source, self._image_config, self._worker_config, rows, self._timer)
        )


def is_gil_bound(alone: float, together: float) -> bool:
    """Whether threads wait for each other, given the seconds per image of one thread and of several.

    >>> is_gil_bound(alone=0.004, together=0.002), is_gil_bound(alone=0.004, together=0.0041)
    (False, True)
    """
    return alone > MIN_IMAGE_SECONDS_FOR_PROCESSES and alone < MIN_THREAD_SPEEDUP * together


def time_threads(
    source: ImageSource,
    image_config: ImageConfig,
    worker_config: WorkerConfig,
    rows: NDArray[np.int64],
    timer: Timer = default_timer,
) -> tuple[float, float]:
    """Measure seconds per image of one thread and of all, in turns on the same images; the best of each."""
    # A fault is reported when the image is requested, not here. Maps count how often they are read.
    image_config = replace(image_config, on_error="substitute", refill=False, maps=None)
    # One worker and not the caller's thread, so that the time limit applies.
    alone = ThreadEngine(
        source, image_config, replace(worker_config, num_workers=1, pin_memory=False, cores=())
    )
    together = ThreadEngine(source, image_config, replace(worker_config, pin_memory=False, cores=()))
    try:
        _time_engine(alone, rows[:1], timer)  # imports
        seconds = _time_engine(alone, rows[:1], timer)
        images = int(min(MAX_TIMED_IMAGES, max(worker_config.num_workers, TURN_SECONDS / seconds)))
        rows = np.resize(rows, images)
        _time_engine(together, rows[: worker_config.num_workers], timer)
        turns = TURNS if seconds * images < 2 * TURN_SECONDS else 1
        pairs = [
            (_time_engine(alone, rows, timer), _time_engine(together, rows, timer)) for _ in range(turns)
        ]
    finally:
        alone.close()
        together.close()
    return min(first for first, _ in pairs) / images, min(second for _, second in pairs) / images


def _time_engine(engine: Engine, rows: NDArray[np.int64], timer: Timer) -> float:
    start = timer()
    for _ in engine.run([BatchTask(0, rows)]):
        pass
    return timer() - start


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
