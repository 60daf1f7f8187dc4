"""A small set that lies on the device whole, as bytes: each batch is cut, mirrored and normalized from there.

50,000 images of 32 pixels are 154 MB. Nothing is read, decoded or copied after the first epoch has begun.

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
from perfsuite.transforms.augment.counter_rng import epoch_uniforms
from perfsuite.transforms.normalization.channel_stats import CIFAR10, ChannelStatistics
from perfsuite.transforms.normalization.registry import select_implementation
from perfsuite.transforms.optional_libraries import has_triton

__all__ = ["CIFAR10", "DeviceDataset"]


@dataclass(frozen=True, eq=False)
class DeviceDataset:
    """Images (uint8, N x C x H x W) and labels on one device; `epoch(n)` goes through them in a new order.

    With `padding` each image is shifted by up to so many pixels, `fill` (in pixel units) coming in from
    outside; with `mirror` half are mirrored. Sample and epoch decide, whatever the batch.
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
                f"resident: images are {self.images.dtype} {tuple(self.images.shape)}, "
                "expected torch.uint8 (N, C, H, W)"
            )
        if len(self.labels) != len(self.images):
            raise DataError(
                f"resident: {len(self.labels)} labels for {len(self.images)} images, expected as many"
            )
        if self.images.device != self.labels.device:
            raise DataError(
                f"resident: images on {self.images.device}, labels on {self.labels.device}, "
                "expected one device"
            )

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.images) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of normalized images and their labels. What is drawn is copied once, before the first."""
        numbers = epoch_uniforms(self.seed, epoch, len(self.images))
        order = np.argsort(numbers[:, -1], kind="stable") if self.shuffle else np.arange(len(self.images))
        shifts = np.floor(numbers[:, 4:6] * (2 * self.padding + 1)).astype(np.int32) - self.padding
        mirrored = (numbers[:, 0] < 0.5) & self.mirror
        drawn = np.stack([order, shifts[order, 0], shifts[order, 1], mirrored[order]]).astype(np.int32)
        rows, tops, lefts, mirrors = torch.from_numpy(drawn).to(self.images.device).unbind()
        for start in range(0, len(order), self.batch_size):
            some = slice(start, start + self.batch_size)
            yield (
                self._gather(rows[some], tops[some], lefts[some], mirrors[some]),
                self.labels[rows[some].long()],
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
        bytes_ = gather_images(self.images, rows, tops, lefts, mirrors, self.fill)
        select_implementation(bytes_)(bytes_, self.statistics, out)
        return out


def gather_images(
    images: torch.Tensor,
    rows: torch.Tensor,
    tops: torch.Tensor,
    lefts: torch.Tensor,
    mirrors: torch.Tensor,
    fill: int,
) -> torch.Tensor:
    """The bytes that the kernel would normalize, gathered by torch alone."""
    _, channels, height, width = images.shape
    device = images.device
    x, y = torch.arange(width, device=device), torch.arange(height, device=device)
    from_y = y + tops.long().view(-1, 1)
    from_x = torch.where(mirrors.view(-1, 1) != 0, width - 1 - x, x) + lefts.long().view(-1, 1)
    inside = _in_range(from_y, height)[:, :, None] & _in_range(from_x, width)[:, None, :]
    taken = images[
        rows.long().view(-1, 1, 1, 1),
        torch.arange(channels, device=device).view(1, -1, 1, 1),
        from_y.clamp(0, height - 1)[:, None, :, None],
        from_x.clamp(0, width - 1)[:, None, None, :],
    ]
    return torch.where(inside[:, None], taken, torch.tensor(fill, dtype=torch.uint8, device=device))


def _in_range(positions: torch.Tensor, size: int) -> torch.Tensor:
    return (positions >= 0) & (positions < size)
