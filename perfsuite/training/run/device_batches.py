"""A `DeviceDataset` as the loader of a training run: its next iteration is the epoch that was set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from perfsuite.data.device_dataset import DeviceDataset
from perfsuite.training.devices import TensorBatch
from perfsuite.training.run.data_identity import digest_tensors


@dataclass
class DeviceBatches:
    """Normalized batches of a small data set in the device's memory, without workers.

    >>> import torch
    >>> from perfsuite.transforms.normalization.channel_stats import CIFAR10
    >>> images = torch.zeros(5, 3, 32, 32, dtype=torch.uint8)
    >>> batches = DeviceBatches(DeviceDataset(images, torch.arange(5), CIFAR10, batch_size=2))
    >>> [len(labels) for _, labels in batches]
    [2, 2, 1]
    """

    dataset: DeviceDataset
    epoch: int = 0

    @property
    def batch_size(self) -> int:
        return self.dataset.batch_size

    def __len__(self) -> int:
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[TensorBatch]:
        return self.dataset.epoch(self.epoch)

    def identity(self) -> dict[str, Any]:
        """Describe the batches, for a run that resumes."""
        data = self.dataset
        return {
            "batches": len(data),
            "batch_size": data.batch_size,
            "shuffle": data.shuffle,
            "loader_seed": data.seed,
            "padding": data.padding,
            "mirror": data.mirror,
            "fill": data.fill,
            "images": len(data.images),
            "contents": digest_tensors(data.images, data.labels),
        }
