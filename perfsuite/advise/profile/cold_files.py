"""Read files cold and warm, in turns: cold ones are dropped from the system's page cache first.

Whether a file is cold is checked, not believed: some file systems keep what they are told to drop.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Protocol

from perfsuite.advise.confidence import LEVEL, MIN_BLOCKS
from perfsuite.judge.metrics import MetricEstimate, estimate_ratio
from perfsuite.judge.order_statistics import median_interval, quantile
from perfsuite.measure.turns import run_blocks

MAX_WARM_FRACTION = 0.1  # of the files that may still be in the cache when they are read cold
SIDES = ("cold", "warm")


class PageCache(Protocol):
    """The system's cache of file contents."""

    def drop(self, path: Path) -> None: ...

    def holds(self, path: Path) -> bool | None:
        """Whether the start of the file is in memory; None where the system does not say."""


class SystemPageCache:
    """Linux's page cache: posix_fadvise drops a file, a read without waiting shows whether it is there."""

    def drop(self, path: Path) -> None:
        if not hasattr(os, "posix_fadvise"):
            return
        with path.open("rb") as file:
            os.fsync(file.fileno())  # pages that are not written yet are not dropped
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def holds(self, path: Path) -> bool | None:
        if not hasattr(os, "RWF_NOWAIT"):
            return None
        with path.open("rb") as file:
            try:
                os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
            except BlockingIOError:
                return False
            except OSError:  # the file system does not support it
                return None
        return True


@dataclass(frozen=True, slots=True)
class ColdFileTimes:
    """Seconds per file, one value per block of turns."""

    files: int
    cold_seconds: tuple[float, ...]
    warm_seconds: tuple[float, ...]

    @property
    def cold(self) -> MetricEstimate:
        return MetricEstimate(quantile(self.cold_seconds, 0.5), median_interval(self.cold_seconds, LEVEL))

    @property
    def warm(self) -> MetricEstimate:
        return MetricEstimate(quantile(self.warm_seconds, 0.5), median_interval(self.warm_seconds, LEVEL))

    @property
    def slowdown(self) -> MetricEstimate:
        """Cold time over warm time, block by block."""
        pairs = zip(self.cold_seconds, self.warm_seconds, strict=True)
        return estimate_ratio([cold / warm for cold, warm in pairs], LEVEL)

    def share(self, computing_seconds: float) -> float:
        """The share that reading cold files has of loading, whose other stages take `computing_seconds`."""
        return self.cold.value / (self.cold.value + computing_seconds)


@dataclass(frozen=True, slots=True)
class NoColdFiles:
    """Why cold files could not be measured."""

    reason: str


def measure_cold_files(
    paths: Sequence[Path], seconds: float, cache: PageCache | None = None
) -> ColdFileTimes | NoColdFiles:
    """Read all files in turns of cold and warm; at least MIN_BLOCKS blocks, then until the time is over."""
    cache = SystemPageCache() if cache is None else cache
    if not paths:
        return NoColdFiles("the loader has no files of its own")
    for path in paths:
        cache.drop(path)
    states = [cache.holds(path) for path in paths]
    if None in states:
        return NoColdFiles("this system does not say whether a file is in its page cache")
    if sum(map(bool, states)) > MAX_WARM_FRACTION * len(paths):
        return NoColdFiles(
            f"the system keeps {sum(map(bool, states))} of {len(paths)} files in its page cache when told "
            "to drop "
            "them; read a fresh copy that is larger than memory instead"
        )
    begin = perf_counter()

    def turn(side: str) -> float:
        for path in paths:
            if side == "cold":
                cache.drop(path)
            else:
                path.read_bytes()
        start = perf_counter()
        for path in paths:
            path.read_bytes()
        return (perf_counter() - start) / len(paths)

    def should_stop(blocks: int) -> bool:
        return blocks >= MIN_BLOCKS and perf_counter() - begin >= seconds

    blocks = list(run_blocks(SIDES, turn, should_stop=should_stop, rng=Random()))
    cold, warm = zip(*blocks, strict=True)
    return ColdFileTimes(len(paths), cold, warm)
