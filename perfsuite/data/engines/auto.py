"""The engine that `auto` stands for: threads, unless Python's lock lets only one of them work at a time."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.data.batch import Batch, BatchTask
from perfsuite.data.engines.base import Engine, InlineEngine, ThreadEngine, WorkerConfig, make_engine
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.sources.files import ImageSource

# Several threads that together do not reach this many times the rate of one mostly wait for each other.
MIN_THREAD_SPEEDUP = 1.25
TURNS = 3
TURN_SECONDS = 0.03  # about; one turn is enough where images are slower than that
MAX_TIMED_IMAGES = 32
# Handing images from process to process costs about as much as one that is quicker.
MIN_IMAGE_SECONDS_FOR_PROCESSES = 5e-4


class AutoEngine:
    """Times threads on the first images that are asked for, a fraction of a second, and then feeds."""

    def __init__(self, source: ImageSource, recipe: ImageConfig, how: WorkerConfig) -> None:
        self._source, self._image_config, self._worker_config = source, recipe, how
        self._engine: Engine | None = None

    @property
    def name(self) -> str:
        """`auto` until the first batch is asked for."""
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
        source, recipe, how = self._source, self._image_config, self._worker_config
        start = preferred_start_method(how.start)
        is_kept = hasattr(source, "decoded") or hasattr(source, "finished")
        if is_kept or how.workers < 2 or not is_gil_bound(*time_threads(source, recipe, how, rows)):
            return make_engine("threads", source, recipe, how)
        if start != "fork" and not _is_picklable(source, recipe):
            return make_engine("threads", source, recipe, how)
        return make_engine("processes", source, recipe, replace(how, start=start))


def is_gil_bound(alone: float, together: float) -> bool:
    """Whether threads wait for each other, by the seconds of an image with one and with several of them.

    >>> is_gil_bound(alone=0.004, together=0.002), is_gil_bound(alone=0.004, together=0.0041)
    (False, True)
    """
    return alone > MIN_IMAGE_SECONDS_FOR_PROCESSES and alone < MIN_THREAD_SPEEDUP * together


def time_threads(
    source: ImageSource, recipe: ImageConfig, how: WorkerConfig, rows: NDArray[np.int64]
) -> tuple[float, float]:
    """Seconds of an image with one thread and with all of them, in turns on the same; the best of each."""
    # What cannot be read is told when it is asked for, not here; and maps count how often they are read.
    recipe = replace(recipe, on_error="substitute", refill=False, maps=None)
    alone = InlineEngine(source, recipe)
    together = ThreadEngine(source, recipe, replace(how, pinned=False, cores=()))
    _time_engine(alone, rows[:1])  # imports
    each = _time_engine(alone, rows[:1])
    many = int(min(MAX_TIMED_IMAGES, max(how.workers, TURN_SECONDS / each)))
    rows = np.resize(rows, many)
    _time_engine(together, rows[: how.workers])
    turns = TURNS if each * many < 2 * TURN_SECONDS else 1
    try:
        pairs = [(_time_engine(alone, rows), _time_engine(together, rows)) for _ in range(turns)]
    finally:
        together.close()
    return min(one for one, _ in pairs) / many, min(several for _, several in pairs) / many


def _time_engine(feeding: Engine, rows: NDArray[np.int64]) -> float:
    began = perf_counter()
    for _ in feeding.run([BatchTask(0, rows)]):
        pass
    return perf_counter() - began


def preferred_start_method(start: str | None) -> str | None:
    """As asked for; else fork where it is safe: what is forked need not be sent, nor `__main__` guarded."""
    if start is not None or sys.platform != "linux" or torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return start
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else None


def _is_picklable(source: ImageSource, recipe: ImageConfig) -> bool:
    try:
        pickle.dumps((source, recipe))
    except Exception:  # whatever keeps it from being sent
        return False
    return True
