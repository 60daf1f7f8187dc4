"""The engine without workers: the caller's thread fills each batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask
from perfsuite.data.engines.base import max_batch_rows
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.sources.base import ImageSource


class InlineEngine:
    """Fills each batch when it is requested. Used by any engine's loader with `num_workers=0`."""

    name = "inline"

    def __init__(self, source: ImageSource, image_config: ImageConfig) -> None:
        self._source, self._image_config = source, image_config
        self._maker: ImageMaker | None = None

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        if self._maker is None:
            self._maker = ImageMaker(self._source, self._image_config)
        buffer = BatchBuffer.new(max_batch_rows(tasks), self._image_config.batch_layout)
        for task in tasks:
            count = len(task.rows)
            faults = self._maker.fill(task.epoch, task.rows, buffer.view(count))
            yield buffer.to_batch(count, faults)

    def close(self) -> None:
        self._maker = None

    def __reduce__(self) -> tuple[Any, ...]:
        return InlineEngine, (self._source, self._image_config)
