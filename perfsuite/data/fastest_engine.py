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

from perfsuite.data.feed import Engine, Feeding, Inline, Threads, engine
from perfsuite.data.recipe import Recipe
from perfsuite.data.sets import Source
from perfsuite.data.slots import Batch, Task

# Several threads that together do not reach this many times the rate of one mostly wait for each other.
WORTH_THREADS = 1.25
TURNS = 3
A_TURN_SECONDS = 0.03  # about; one turn is enough where pictures are slower than that
MOST_PICTURES = 32
# Handing pictures from process to process costs about as much as one that is quicker.
WORTH_A_PROCESS_SECONDS = 5e-4


class Fastest:
    """Times threads on the first pictures that are asked for, a fraction of a second, and then feeds."""

    def __init__(self, source: Source, recipe: Recipe, how: Feeding) -> None:
        self._source, self._recipe, self._how = source, recipe, how
        self._chosen: Engine | None = None

    @property
    def name(self) -> str:
        """`auto` until the first batch is asked for."""
        return "auto" if self._chosen is None else self._chosen.name

    def run(self, tasks: Sequence[Task]) -> Iterator[Batch]:
        if self._chosen is None and tasks:
            self._chosen = self._choose(tasks[0].rows)
        if self._chosen is not None:
            yield from self._chosen.run(tasks)

    def close(self) -> None:
        if self._chosen is not None:
            self._chosen.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Fastest, (self._source, self._recipe, self._how)

    def _choose(self, rows: NDArray[np.int64]) -> Engine:
        source, recipe, how = self._source, self._recipe, self._how
        start = start_without_sending(how.start)
        is_kept = hasattr(source, "decoded") or hasattr(source, "finished")
        if is_kept or how.workers < 2 or not waits(*thread_seconds(source, recipe, how, rows)):
            return engine("threads", source, recipe, how)
        if start != "fork" and not _can_be_sent(source, recipe):
            return engine("threads", source, recipe, how)
        return engine("processes", source, recipe, replace(how, start=start))


def waits(alone: float, together: float) -> bool:
    """Whether threads wait for each other, by the seconds of a picture with one and with several of them.

    >>> waits(alone=0.004, together=0.002), waits(alone=0.004, together=0.0041)
    (False, True)
    """
    return alone > WORTH_A_PROCESS_SECONDS and alone < WORTH_THREADS * together


def thread_seconds(
    source: Source, recipe: Recipe, how: Feeding, rows: NDArray[np.int64]
) -> tuple[float, float]:
    """Seconds of a picture with one thread and with all of them, in turns on the same; the best of each."""
    # What cannot be read is told when it is asked for, not here; and maps count how often they are read.
    recipe = replace(recipe, on_error="substitute", refill=False, maps=None)
    alone = Inline(source, recipe)
    together = Threads(source, recipe, replace(how, pinned=False, cores=()))
    _seconds(alone, rows[:1])  # imports
    each = _seconds(alone, rows[:1])
    many = int(min(MOST_PICTURES, max(how.workers, A_TURN_SECONDS / each)))
    rows = np.resize(rows, many)
    _seconds(together, rows[: how.workers])
    turns = TURNS if each * many < 2 * A_TURN_SECONDS else 1
    try:
        pairs = [(_seconds(alone, rows), _seconds(together, rows)) for _ in range(turns)]
    finally:
        together.close()
    return min(one for one, _ in pairs) / many, min(several for _, several in pairs) / many


def _seconds(feeding: Engine, rows: NDArray[np.int64]) -> float:
    began = perf_counter()
    for _ in feeding.run([Task(0, rows)]):
        pass
    return perf_counter() - began


def start_without_sending(start: str | None) -> str | None:
    """As asked for; else fork where it is safe: what is forked need not be sent, nor `__main__` guarded."""
    if start is not None or sys.platform != "linux" or torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return start
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else None


def _can_be_sent(source: Source, recipe: Recipe) -> bool:
    try:
        pickle.dumps((source, recipe))
    except Exception:  # whatever keeps it from being sent
        return False
    return True
