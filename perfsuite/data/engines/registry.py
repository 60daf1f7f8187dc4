"""All engines, by name: the modules of perfsuite.data.engines that have an `ENGINE`.

To add one, add a module with an `ENGINE` there.
"""

from __future__ import annotations

import torch

from perfsuite.data import engines
from perfsuite.data.engines.base import Engine, EngineEntry, WorkerConfig
from perfsuite.data.engines.inline import InlineEngine
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.sources.base import ImageSource
from perfsuite.discovery import discover

ENGINES = {entry.name: entry for entry in discover(engines, "ENGINE", EngineEntry).values()}


def check_engine_name(name: str) -> None:
    if name not in ENGINES:
        raise ValueError(f"engine: {name!r}, expected one of {', '.join(ENGINES)}")


def make_engine(
    name: str,
    source: ImageSource,
    image_config: ImageConfig,
    worker_config: WorkerConfig,
    device: torch.device,
) -> Engine:
    """Create the engine of that name. Without workers the caller's thread does the work (InlineEngine)."""
    check_engine_name(name)
    entry = ENGINES[name]
    if worker_config.num_workers == 0 and entry.needs_workers:
        return InlineEngine(source, image_config)
    return entry.create(source, image_config, worker_config, device)
