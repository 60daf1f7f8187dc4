"""The interface of an engine, which fills the batches of a loader.

All engines fill the same batches with the same images. They differ in speed, and in what they take from the
caller's process. A batch is valid until the caller requests the next one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from perfsuite.data.batch import Batch, BatchTask
from perfsuite.data.faults import Fault
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.sources.base import ImageSource

Faults = tuple[Fault, ...]
# Far longer than a batch takes from a slow store, so that it only ends a loader that would wait for ever.
DEFAULT_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """How many workers fill batches, how far ahead, and where they run."""

    num_workers: int = 2
    prefetch_factor: int = 2  # batches beyond the one that the caller has
    pin_memory: bool = False
    start_method: str | None = None  # of worker processes: fork, forkserver or spawn
    cores: tuple[int, ...] = ()  # workers are pinned to these in turn
    timeout: float = DEFAULT_TIMEOUT_SECONDS  # seconds without a result while the caller waits; 0: no limit

    def __post_init__(self) -> None:
        if self.num_workers < 0:
            raise ValueError(f"num_workers: {self.num_workers}, expected 0 or more")
        if self.prefetch_factor < 1:
            raise ValueError(f"prefetch_factor: {self.prefetch_factor}, expected 1 or more")
        if not 0 <= self.timeout < math.inf:
            raise ValueError(f"timeout: {self.timeout}, expected seconds from 0 (no limit)")
        if self.cores:
            _check_cores(self.cores, self.num_workers)

    @property
    def timeout_or_none(self) -> float | None:
        return self.timeout or None


class Engine(Protocol):
    """Fills the batches of tasks, in their order."""

    @property
    def name(self) -> str: ...

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]: ...

    def close(self) -> None: ...


EngineFactory = Callable[[ImageSource, ImageConfig, WorkerConfig, torch.device], Engine]


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """One entry of the registry."""

    name: str
    create: EngineFactory
    needs_workers: bool = True  # without workers, the inline engine takes its place


class ExclusiveIteration:
    """Allows one active iterator. Starting another invalidates it: its next batch is a RuntimeError."""

    def __init__(self) -> None:
        self._active: Generator[Batch] | None = None

    def iterate(self, batches: Generator[Batch]) -> Iterator[Batch]:
        previous, self._active = self._active, batches
        if previous is not None:
            previous.close()
        try:
            while self._active is batches:
                try:
                    batch = next(batches)
                except StopIteration:
                    return
                yield batch
            raise RuntimeError(
                "loader: another iteration has begun over the same workers and ended this one, "
                "expected one at a time; engine='threads' allows several at once"
            )
        finally:
            batches.close()
            if self._active is batches:
                self._active = None


def max_batch_rows(tasks: Sequence[BatchTask]) -> int:
    return max((len(task.rows) for task in tasks), default=0)


def _check_cores(cores: Sequence[int], num_workers: int) -> None:
    if not hasattr(os, "sched_setaffinity"):
        raise ValueError("cores: this system cannot pin a worker to a core, expected none; leave them out")
    usable = os.sched_getaffinity(0)
    if num_workers == 0 or not set(cores) <= usable:
        raise ValueError(
            f"cores: {list(cores)} for {num_workers} workers, expected some of {sorted(usable)} and a worker"
        )
