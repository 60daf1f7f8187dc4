"""The first turn of a setting: its memory, and a checksum and the moments of its batches."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from perfsuite.advise.inputs.batches import batch_bytes, first_images, update_checksum
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.setting_loaders import TurnLoader, resolved
from perfsuite.advise.sweep.setting_result import HostMemory
from perfsuite.measure.memory import bytes_of_processes, measure_peak_memory

# torch's DataLoader and the engine of processes load ahead in each worker, the other engines in all.
ENGINES_WITH_QUEUES_PER_WORKER = ("processes", "DataLoader")


@dataclass(frozen=True, slots=True)
class FirstTurn:
    """What the first turn of a setting shows."""

    memory: HostMemory
    checksum: str


def measure_first_turn(setting: LoaderSetting, loader: TurnLoader) -> FirstTurn:
    checksum = hashlib.sha256()
    bytes_of_batch = bytes_ahead = 0

    def first_turn() -> None:
        nonlocal bytes_of_batch, bytes_ahead
        for batch in loader.batches(0):
            if not bytes_of_batch:
                bytes_of_batch = batch_bytes(batch)
                bytes_ahead = _bytes_while_loading(batch, loader.engine())
            update_checksum(checksum, batch)

    before = set(psutil.Process().children(recursive=True))  # workers of other settings
    peak = measure_peak_memory(first_turn)
    workers = set(psutil.Process().children(recursive=True)) - before
    memory = HostMemory(
        batch_bytes=bytes_of_batch,
        prefetch_bytes=bytes_ahead * batches_ahead(resolved(setting, loader)),
        peak_growth_bytes=peak.peak_growth_bytes or 0,
        worker_bytes=bytes_of_processes(workers) if workers else None,
    )
    return FirstTurn(memory, checksum.hexdigest())


def image_mean_and_std(loader: TurnLoader) -> tuple[float | None, float | None]:
    """Mean and standard deviation of a turn's images; None where these are bytes or not found.

    It also imports and compiles everything before the turns.
    """
    count, total, squares = 0, 0.0, 0.0
    for batch in loader.batches(0):
        images = first_images(batch)
        if images is not None and images.is_floating_point():
            count += images.numel()
            total += float(images.sum(dtype=torch.float64))
            squares += float(images.double().square().sum())
    if not count:
        return None, None
    mean = total / count
    return mean, math.sqrt(max(0.0, squares / count - mean * mean))


def batches_ahead(setting: LoaderSetting) -> int:
    """Batches that exist, finished or being loaded, while the caller holds one.

    >>> [batches_ahead(LoaderSetting(4, 2, engine)) for engine in ("threads", "processes")]
    [2, 8]
    """
    if not setting.num_workers:
        return 0
    each = setting.num_workers if setting.engine in ENGINES_WITH_QUEUES_PER_WORKER else 1
    return setting.prefetch_factor * each


def _bytes_while_loading(batch: Any, engine: str) -> int:
    """perfsuite's engines load bytes and normalize them last; a DataLoader has whole batches ahead."""
    images = first_images(batch)
    if engine == "DataLoader" or images is None:
        return batch_bytes(batch)
    return batch_bytes(batch) - images.nbytes + images.numel()
