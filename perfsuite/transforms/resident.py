"""A small set that lies on the device whole, as bytes: each batch is cut, mirrored and normalised from there.

50,000 pictures of 32 pixels are 154 MB. Nothing is read, decoded or copied after the first epoch has begun.

>>> pictures, labels = torch.zeros(20, 3, 32, 32, dtype=torch.uint8), torch.zeros(20, dtype=torch.long)
>>> train = Resident(pictures, labels, CIFAR10, batch_size=8, padding=4, mirror=True)
>>> [tuple(images.shape) for images, labels in train.epoch(0)]
[(8, 3, 32, 32), (8, 3, 32, 32), (4, 3, 32, 32)]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from perfsuite.errors import DataError
from perfsuite.transforms.implementations import has_triton, writer
from perfsuite.transforms.on_picture import GREY
from perfsuite.transforms.randomness import epoch_uniforms
from perfsuite.transforms.statistics import CIFAR10, Statistics

__all__ = ["CIFAR10", "Resident"]


@dataclass(frozen=True, eq=False)
class Resident:
    """Pictures (uint8, N x C x H x W) and labels on one device; `epoch(n)` goes through them in a new order.

    With `padding` each picture is shifted by up to so many pixels, `fill` (in pixel units) coming in from
    outside; with `mirror` half are mirrored. Sample and epoch decide, whatever the batch.
    """

    pictures: torch.Tensor
    labels: torch.Tensor
    statistics: Statistics
    batch_size: int
    padding: int = 0
    mirror: bool = False
    shuffle: bool = True
    seed: int = 42
    fill: int = GREY
    dtype: torch.dtype = torch.float32
    memory_format: torch.memory_format = torch.contiguous_format

    def __post_init__(self) -> None:
        if self.pictures.dtype != torch.uint8 or self.pictures.ndim != 4:
            raise DataError(
                f"resident: pictures are {self.pictures.dtype} {tuple(self.pictures.shape)}, "
                "expected torch.uint8 (N, C, H, W)"
            )
        if len(self.labels) != len(self.pictures):
            raise DataError(
                f"resident: {len(self.labels)} labels for {len(self.pictures)} pictures, expected as many"
            )
        if self.pictures.device != self.labels.device:
            raise DataError(
                f"resident: pictures on {self.pictures.device}, labels on {self.labels.device}, "
                "expected one device"
            )

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.pictures) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of normalised pictures and their labels. What is drawn is copied once, before the first."""
        numbers = epoch_uniforms(self.seed, epoch, len(self.pictures))
        order = np.argsort(numbers[:, -1], kind="stable") if self.shuffle else np.arange(len(self.pictures))
        shifts = np.floor(numbers[:, 4:6] * (2 * self.padding + 1)).astype(np.int32) - self.padding
        mirrored = (numbers[:, 0] < 0.5) & self.mirror
        drawn = np.stack([order, shifts[order, 0], shifts[order, 1], mirrored[order]]).astype(np.int32)
        rows, tops, lefts, mirrors = torch.from_numpy(drawn).to(self.pictures.device).unbind()
        for start in range(0, len(order), self.batch_size):
            some = slice(start, start + self.batch_size)
            yield (
                self._cut(rows[some], tops[some], lefts[some], mirrors[some]),
                self.labels[rows[some].long()],
            )

    def _cut(
        self, rows: torch.Tensor, tops: torch.Tensor, lefts: torch.Tensor, mirrors: torch.Tensor
    ) -> torch.Tensor:
        shape = (len(rows), *self.pictures.shape[1:])
        out = torch.empty(
            shape, dtype=self.dtype, device=self.pictures.device, memory_format=self.memory_format
        )
        if self.pictures.is_cuda and has_triton():
            from perfsuite.transforms.kernels import write_picked

            write_picked(self.pictures, self.statistics, out, rows, tops, lefts, mirrors, self.fill)
            return out
        bytes_ = picked(self.pictures, rows, tops, lefts, mirrors, self.fill)
        writer(bytes_)(bytes_, self.statistics, out)
        return out


def picked(
    pictures: torch.Tensor,
    rows: torch.Tensor,
    tops: torch.Tensor,
    lefts: torch.Tensor,
    mirrors: torch.Tensor,
    fill: int,
) -> torch.Tensor:
    """The bytes that the kernel would normalise, gathered by torch alone."""
    _, channels, height, width = pictures.shape
    device = pictures.device
    x, y = torch.arange(width, device=device), torch.arange(height, device=device)
    from_y = y + tops.long().view(-1, 1)
    from_x = torch.where(mirrors.view(-1, 1) != 0, width - 1 - x, x) + lefts.long().view(-1, 1)
    inside = _within(from_y, height)[:, :, None] & _within(from_x, width)[:, None, :]
    taken = pictures[
        rows.long().view(-1, 1, 1, 1),
        torch.arange(channels, device=device).view(1, -1, 1, 1),
        from_y.clamp(0, height - 1)[:, None, :, None],
        from_x.clamp(0, width - 1)[:, None, None, :],
    ]
    return torch.where(inside[:, None], taken, torch.tensor(fill, dtype=torch.uint8, device=device))


def _within(positions: torch.Tensor, size: int) -> torch.Tensor:
    return (positions >= 0) & (positions < size)
