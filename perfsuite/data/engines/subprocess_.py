"""Threads in one subprocess, which leaves the caller's process to training."""

from __future__ import annotations

from perfsuite.data.engines.base import EngineEntry
from perfsuite.data.engines.process_pool import ProcessPoolEngine


class SubprocessEngine(ProcessPoolEngine):
    """One process with a thread for each worker: its memory is not multiplied."""

    name = "subprocess"

    @property
    def process_count(self) -> int:
        return 1


ENGINE = EngineEntry(
    name="subprocess",
    create=lambda source, image_config, worker_config, device: SubprocessEngine(
        source, image_config, worker_config
    ),
)
