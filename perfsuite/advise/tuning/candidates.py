"""The candidates of each race: decoders, then workers and engines, then batches ahead.

Three small races replace the product of all options. The settings that the second race could not separate
all enter the third, so that an early choice by chance can be corrected.

>>> [setting.label for setting in worker_candidates((0, 2), ("threads", "processes"), "auto")]
['0 auto', '2 threads +2', '2 processes +2']
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from perfsuite.advise.sweep.loader_setting import LoaderSetting

DEFAULT_PREFETCH_FACTOR = 2
WORKER_COUNTS = (0, 1, 2, 4, 8, 16)
AUTO = "auto"
MAX_CONTENDERS = 3  # of the second race in the third


def worker_counts(cores: int) -> tuple[int, ...]:
    """The usual numbers of workers that the cores can run, and the number of cores itself.

    >>> worker_counts(2), worker_counts(6)
    ((0, 1, 2), (0, 1, 2, 4, 6))
    """
    return tuple(sorted({count for count in WORKER_COUNTS if count <= cores} | {min(cores, 16)}))


def decoder_candidates(decoders: Sequence[str]) -> tuple[LoaderSetting, ...]:
    """Every decoder without workers: which one is fastest does not depend on them."""
    return tuple(LoaderSetting(0, decoder=_named(decoder)) for decoder in decoders)


def worker_candidates(
    num_workers: Sequence[int], engines: Sequence[str], decoder: str, prefetch_factor: int = 2
) -> tuple[LoaderSetting, ...]:
    return tuple(
        LoaderSetting(workers, prefetch_factor, engine, _named(decoder))
        if workers
        else LoaderSetting(0, decoder=_named(decoder))
        for workers in sorted(set(num_workers))
        for engine in (engines if workers else (AUTO,))
    )


def queue_candidates(
    contenders: Sequence[LoaderSetting], prefetch_factors: Sequence[int], batch_sizes: Sequence[int]
) -> tuple[LoaderSetting, ...]:
    """The best contender with other numbers of batches ahead and batch sizes; the others as they are.

    >>> race = queue_candidates([LoaderSetting(2, 2, "threads"), LoaderSetting(0)], (2, 4), (32, 64))
    >>> [setting.label for setting in race]
    ['2 threads +2', '0 auto', '2 threads +4', '2 threads +2 b64']
    """
    best = contenders[0]
    larger = (replace(best, batch_size=size) for size in batch_sizes[1:])
    race = [*contenders[:MAX_CONTENDERS], *_variants(best, prefetch_factors), *larger]
    return tuple(dict.fromkeys(race))


def _variants(setting: LoaderSetting, prefetch_factors: Sequence[int]) -> Iterator[LoaderSetting]:
    if setting.num_workers:
        for factor in prefetch_factors:
            yield replace(setting, prefetch_factor=factor)


def _named(decoder: str) -> str | None:
    return None if decoder == AUTO else decoder
