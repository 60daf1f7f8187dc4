"""Normalized images in memory: four times the bytes of `cache="ram"`, which stores what is not normalized."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from perfsuite.data.batch import Batch, BatchTask
from perfsuite.data.engines.base import Engine
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.loader import Normalize
from perfsuite.data.sources.base import ImageSource
from perfsuite.errors import DataError
from perfsuite.transforms.augment.modes import get_mode


class NormalizedCacheEngine:
    """Wraps an engine: an image is made and normalized when it is first used, then copied as floats.

    The images must be the same in every epoch, so nothing is random, and every image must be readable.
    """

    def __init__(
        self, engine: Engine, source: ImageSource, image_config: ImageConfig, normalize: Normalize
    ) -> None:
        self._engine, self._source, self._image_config = engine, source, image_config
        self._normalize = normalize
        shape = (len(source), image_config.size, image_config.size, 3)
        _check_fits(shape, normalize.dtype)
        self._images = torch.empty(shape, dtype=normalize.dtype)
        self._is_stored: NDArray[np.bool_] = np.zeros(len(source), np.bool_)

    @property
    def name(self) -> str:
        return self._engine.name

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        missing = [task.rows[~self._is_stored[task.rows]] for task in tasks]
        todo = [BatchTask(task.epoch, rows) for task, rows in zip(tasks, missing, strict=True) if len(rows)]
        with closing(self._engine.run(todo) if todo else _no_batches()) as made:  # type: ignore[type-var]
            for task, rows in zip(tasks, missing, strict=True):
                if len(rows):
                    self._store(rows, next(made))
                yield self._batch(task.rows)

    def close(self) -> None:
        """Stop the workers; the images stay."""
        self._engine.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the settings to another process, and not the images."""
        return NormalizedCacheEngine, (self._engine, self._source, self._image_config, self._normalize)

    def _store(self, rows: NDArray[np.int64], batch: Batch) -> None:
        self._images[torch.from_numpy(rows)] = self._normalize(batch.images).permute(0, 2, 3, 1)
        self._is_stored[rows] = True

    def _batch(self, rows: NDArray[np.int64]) -> Batch:
        labels: Any = self._source.labels[rows]
        return Batch(
            images=self._images[torch.from_numpy(rows)],
            labels=torch.from_numpy(labels.astype(np.int64)),
            rows=torch.from_numpy(rows),
        )


def _no_batches() -> Iterator[Batch]:
    """An iterator that can be closed, as an engine's."""
    yield from ()


def check_normalized_cache(
    cache: str | None, cache_epochs: int, training: ImageConfig, device: torch.device
) -> None:
    """Raise a ValueError for options of `make_loaders` that a cache of normalized images cannot serve."""
    if cache != "ram" or cache_epochs:
        raise ValueError(
            f"cache_normalized: cache={cache!r}, cache_epochs={cache_epochs}, expected cache='ram' alone"
        )
    mode = get_mode(training.mode)
    if mode.operations:
        raise ValueError(
            f"cache_normalized: augmentation mode {mode.name!r} works on bytes and differs "
            "from epoch to epoch, expected augmentation_mode='none'; cache='ram' alone serves every mode"
        )
    if training.crop == "random":
        raise ValueError("cache_normalized: val_crop='random', expected 'center' or 'stretch'")
    if training.with_geometry or training.maps is not None:
        raise ValueError("cache_normalized: annotations or maps, expected neither; use cache='ram' alone")
    if training.on_error != "raise":
        raise ValueError(f"cache_normalized: on_error={training.on_error!r}, expected 'raise'")
    if device.type != "cpu":
        raise ValueError(
            f"cache_normalized: device={str(device)!r}, expected 'cpu'; a device normalizes bytes itself"
        )


def _check_fits(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    needed, free = int(np.prod(shape)) * dtype.itemsize, psutil.virtual_memory().available // 2
    if needed > free:
        raise DataError(
            f"cache_normalized: {needed:,} bytes for {shape[0]:,} images, expected at most half of the free "
            f"memory, {free:,}; cache='ram' alone takes a quarter, and stores what fits"
        )
