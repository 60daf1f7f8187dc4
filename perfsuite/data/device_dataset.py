"""A small data set held on the device as bytes: each batch is cropped, mirrored and normalized there.

50,000 images of 32 pixels are 154 MB. Once an epoch, its random numbers are copied to the device.

>>> images, labels = torch.zeros(20, 3, 32, 32, dtype=torch.uint8), torch.zeros(20, dtype=torch.long)
>>> train = DeviceDataset(images, labels, CIFAR10, batch_size=8, padding=4, mirror=True)
>>> [tuple(images.shape) for images, labels in train.epoch(0)]
[(8, 3, 32, 32), (8, 3, 32, 32), (4, 3, 32, 32)]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from perfsuite.errors import DataError
from perfsuite.transforms.arrays import GRAY_FILL
from perfsuite.transforms.augment.counter_rng import NUMBERS_PER_SAMPLE, epoch_uniforms
from perfsuite.transforms.augment.operations.mirror import Mirror
from perfsuite.transforms.augment.operations.shift import Shift
from perfsuite.transforms.normalization.channel_stats import CIFAR10, ChannelStatistics
from perfsuite.transforms.normalization.registry import select_implementation
from perfsuite.transforms.optional_libraries import has_triton

__all__ = ["CIFAR10", "DeviceDataset"]

# The random number of a sample that orders the epoch: the last one.
ORDER_SLOT = NUMBERS_PER_SAMPLE - 1


@dataclass(frozen=True, eq=False)
class DeviceDataset:
    """Images (uint8, N x C x H x W) and labels on one device; `epoch(n)` iterates over them in a new order.

    With `padding`, each image is shifted by up to that many pixels; what enters from outside is `fill`, in
    pixel units. With `mirror`, half of the images are mirrored. Both depend on the sample and the epoch, not
    on the batch.
    """

    images: torch.Tensor
    labels: torch.Tensor
    statistics: ChannelStatistics
    batch_size: int
    padding: int = 0
    mirror: bool = False
    shuffle: bool = True
    seed: int = 42
    fill: int = GRAY_FILL
    dtype: torch.dtype = torch.float32
    memory_format: torch.memory_format = torch.contiguous_format

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(
                f"device data set: images are {self.images.dtype} {tuple(self.images.shape)}, "
                "expected torch.uint8 (N, C, H, W)"
            )
        if len(self.labels) != len(self.images):
            raise DataError(
                f"device data set: {len(self.labels)} labels for {len(self.images)} images, expected as many"
            )
        if self.images.device != self.labels.device:
            raise DataError(
                f"device data set: images on {self.images.device}, labels on {self.labels.device}, "
                "expected one device"
            )

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        return -(-len(self.images) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of normalized images and labels. Random numbers are copied once, before the first."""
        numbers = epoch_uniforms(self.seed, epoch, len(self.images))
        order = (
            np.argsort(numbers[:, ORDER_SLOT], kind="stable") if self.shuffle else np.arange(len(self.images))
        )
        shifts = (
            np.floor(numbers[:, Shift.random_slots.numbers] * (2 * self.padding + 1)).astype(np.int32)
            - self.padding
        )
        mirrored = (numbers[:, Mirror.random_slots.first] < 0.5) & self.mirror
        crops = np.stack([order, shifts[order, 0], shifts[order, 1], mirrored[order]]).astype(np.int32)
        rows, tops, lefts, mirrors = torch.from_numpy(crops).to(self.images.device).unbind()
        for start in range(0, len(order), self.batch_size):
            batch = slice(start, start + self.batch_size)
            yield (
                self._gather(rows[batch], tops[batch], lefts[batch], mirrors[batch]),
                self.labels[rows[batch].long()],
            )

    def _gather(
        self, rows: torch.Tensor, tops: torch.Tensor, lefts: torch.Tensor, mirrors: torch.Tensor
    ) -> torch.Tensor:
        shape = (len(rows), *self.images.shape[1:])
        out = torch.empty(
            shape, dtype=self.dtype, device=self.images.device, memory_format=self.memory_format
        )
        if self.images.is_cuda and has_triton():
            from perfsuite.transforms.normalization.triton_kernels import write_gathered

            write_gathered(self.images, self.statistics, out, rows, tops, lefts, mirrors, self.fill)
            return out
        gathered = gather_images(self.images, rows, tops, lefts, mirrors, self.fill)
        select_implementation(gathered)(gathered, self.statistics, out)
        return out


def gather_images(
    images: torch.Tensor,
    rows: torch.Tensor,
    tops: torch.Tensor,
    lefts: torch.Tensor,
    mirrors: torch.Tensor,
    fill: int,
) -> torch.Tensor:
    """Gather, shift and mirror uint8 images with torch, where the Triton kernel is not available."""
    _, channels, height, width = images.shape
    device = images.device
    x, y = torch.arange(width, device=device), torch.arange(height, device=device)
    from_y = y + tops.long().view(-1, 1)
    from_x = torch.where(mirrors.view(-1, 1) != 0, width - 1 - x, x) + lefts.long().view(-1, 1)
    inside = _in_range(from_y, height)[:, :, None] & _in_range(from_x, width)[:, None, :]
    pixels = images[
        rows.long().view(-1, 1, 1, 1),
        torch.arange(channels, device=device).view(1, -1, 1, 1),
        from_y.clamp(0, height - 1)[:, None, :, None],
        from_x.clamp(0, width - 1)[:, None, None, :],
    ]
    return torch.where(inside[:, None], pixels, torch.tensor(fill, dtype=torch.uint8, device=device))


def _in_range(positions: torch.Tensor, size: int) -> torch.Tensor:
    return (positions >= 0) & (positions < size)
