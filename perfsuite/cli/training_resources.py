"""The time, rate and memory of each epoch of a training, for its logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from perfsuite.measure.memory import cuda_peak_bytes, process_tree_bytes

if TYPE_CHECKING:
    from perfsuite.training.run.progress import EpochResult
    from perfsuite.training.run.tracking import RunLogger


@dataclass
class EpochResourceMeter:
    """A trainer callback that measures each epoch, validation included, and gives the loggers the figures.

    The clock is read here, because training itself reads none.
    """

    loggers: Sequence[RunLogger]
    world_size: int = 1
    _begin: float = field(default=0.0, init=False)
    _images: int = field(default=0, init=False)

    def __enter__(self) -> None:
        self._begin = perf_counter()

    def __exit__(self, *error: object) -> None: ...

    def on_step(self, step: int, steps: int, images: int) -> None:
        self._images += images * self.world_size

    def on_losses(self, step: int, losses: Sequence[float]) -> None: ...

    def on_epoch(self, result: EpochResult) -> None:
        seconds = perf_counter() - self._begin
        if self.loggers:
            figures = {
                "seconds": seconds,
                "images_per_second": self._images / max(seconds, 1e-9),
                "memory_bytes": process_tree_bytes(),  # at the epoch's end, with the loading workers
            }
            cuda_bytes = cuda_peak_bytes()
            if cuda_bytes is not None:
                figures["cuda_peak_bytes"] = cuda_bytes
            for logger in self.loggers:
                logger.on_resources(result.epoch, figures)
        self._begin, self._images = perf_counter(), 0
