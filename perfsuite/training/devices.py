"""Which device, and how a batch gets there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from perfsuite.errors import UsageError
from perfsuite.stages import stage
from perfsuite.transforms.normalization.api import Layout, normalize
from perfsuite.transforms.normalization.channel_stats import IMAGENET

TensorBatch = tuple[Tensor, Tensor]


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is a GPU where there is one.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device: {name!r} is not known, expected auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            f"device: {name} was asked for, and torch sees no CUDA device; use --device auto or cpu"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device: {name} was asked for, of {torch.cuda.device_count()} GPUs; counting is from 0"
        )
    return device


@dataclass(frozen=True, slots=True)
class DeviceTransfer:
    """Brings a loader's batch to the device: without waiting, bytes as bytes, normalized there."""

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
                images = self._normalized(images)
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images, labels

    def _normalized(self, images: Tensor) -> Tensor:
        layout: Layout = "NCHW" if images.shape[1] == 3 else "NHWC"
        return normalize(images, mean=self.mean, std=self.std, layout=layout)
