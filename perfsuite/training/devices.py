"""Device selection, and the transfer of batches to a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from perfsuite.data.devices import parse_device
from perfsuite.errors import UsageError
from perfsuite.stages import stage
from perfsuite.transforms.normalization.api import normalize
from perfsuite.transforms.normalization.channel_stats import IMAGENET
from perfsuite.transforms.normalization.eager import Layout

TensorBatch = tuple[Tensor, Tensor]  # images and labels


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name; `auto` is the GPU if there is one, else the CPU.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return parse_device(name)
    except ValueError as error:
        raise UsageError(f"{error} (or auto)") from error


def normalize_batch(
    images: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    memory_format: torch.memory_format = torch.preserve_format,
) -> Tensor:
    """Normalize a batch of uint8 images, NCHW or NHWC, to float32 NCHW.

    The layout is NCHW if the second dimension has as many entries as `mean`, else NHWC.

    >>> images = torch.full((1, 2, 4, 3), 255, dtype=torch.uint8)
    >>> normalize_batch(images, mean=(0.0, 0.5, 0.5), std=(1.0, 0.5, 0.25))[0, :, 0, 0]
    tensor([1., 1., 2.])
    """
    layout: Layout = "NCHW" if images.shape[1] == len(mean) else "NHWC"
    return normalize(images, mean=mean, std=std, layout=layout, memory_format=memory_format)


@dataclass(frozen=True, slots=True)
class DeviceTransfer:
    """Copies a loader's batch to the device without blocking, and normalizes uint8 images there.

    uint8 images cross the bus as a quarter of the bytes of float32 ones.
    """

    device: torch.device
    channels_last: bool = False
    mean: tuple[float, ...] = IMAGENET.mean
    std: tuple[float, ...] = IMAGENET.std

    def __call__(self, batch: Any) -> TensorBatch:
        images, labels = batch[0], batch[1]
        with stage("transfer"):
            images = images.to(self.device, non_blocking=True)
            labels = labels.to(self.device, non_blocking=True)
        if images.dtype == torch.uint8:
            with stage("normalize"):
                images = normalize_batch(images, self.mean, self.std)
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images, labels
