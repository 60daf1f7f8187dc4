"""Worker processes that each fill whole batches, for sources that hold the GIL."""

from __future__ import annotations

from perfsuite.data.engines.base import EngineEntry
from perfsuite.data.engines.process_pool import ProcessPoolEngine


class ProcessEngine(ProcessPoolEngine):
    """One process with one thread for each worker."""

    name = "processes"

    @property
    def process_count(self) -> int:
        return max(1, self._worker_config.num_workers)


ENGINE = EngineEntry(
    name="processes",
    create=lambda source, image_config, worker_config, device: ProcessEngine(
        source, image_config, worker_config
    ),
)
