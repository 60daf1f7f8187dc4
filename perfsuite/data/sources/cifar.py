"""CIFAR-10 from its binary version (no pickle), held in memory as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from perfsuite.errors import DataError

MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)
IMAGE_SIDE = 32
RECORD_BYTES = 1 + 3 * IMAGE_SIDE * IMAGE_SIDE
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MAX_SHIFT_PIXELS = 4  # pixels that a training image may move by


@dataclass(frozen=True, slots=True)
class LabeledImages:
    """Images (uint8, NCHW) and their labels."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def is_cifar_binary(folder: str | Path) -> bool:
    return any(Path(folder).glob("data_batch_*.bin"))


def read_cifar10(folder: str | Path) -> tuple[LabeledImages, LabeledImages]:
    """Read the training and test images of a folder with data_batch_*.bin and test_batch.bin."""
    folder = Path(folder)
    training = sorted(folder.glob("data_batch_*.bin"))
    if not training:
        raise DataError(f"{folder}: no data_batch_*.bin, expected CIFAR-10's binary version unpacked here")
    test = folder / "test_batch.bin"
    if not test.is_file():
        raise DataError(f"{folder}: no test_batch.bin beside {training[0].name}; unpack the archive again")
    return _concatenate([_read_batch_file(path) for path in training]), _read_batch_file(test)


def _read_batch_file(path: Path) -> LabeledImages:
    data = np.fromfile(path, dtype=np.uint8)
    if data.size == 0 or data.size % RECORD_BYTES:
        raise DataError(
            f"{path}: {data.size:,} bytes, expected a multiple of {RECORD_BYTES:,} (label and 32x32x3); "
            "it is truncated or not CIFAR-10's binary version"
        )
    records = data.reshape(-1, RECORD_BYTES)
    labels = torch.from_numpy(records[:, 0].astype(np.int64))
    if int(labels.max()) >= len(CLASS_NAMES):
        raise DataError(f"{path}: label {int(labels.max())}, expected 0 to 9; it is damaged or not CIFAR-10")
    return LabeledImages(
        torch.from_numpy(records[:, 1:].reshape(-1, 3, IMAGE_SIDE, IMAGE_SIDE).copy()), labels
    )


def _concatenate(parts: list[LabeledImages]) -> LabeledImages:
    return LabeledImages(
        torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts])
    )


class InMemoryBatches:
    """Batches indexed from tensors in memory, without workers: a worker process would only add a copy.

    Training batches are shuffled, mirrored and shifted by up to 4 pixels, all drawn from (seed, epoch).

    >>> images = LabeledImages(torch.zeros(5, 3, 32, 32, dtype=torch.uint8), torch.arange(5))
    >>> [len(labels) for _, labels in InMemoryBatches(images, batch_size=2)]
    [2, 2, 1]
    """

    def __init__(
        self, images: LabeledImages, batch_size: int, *, training: bool = False, seed: int = 42
    ) -> None:
        self.dataset = images
        self.batch_size = batch_size
        self.training = training
        self.seed = seed
        self.epoch = 0
        # Padded once, not per batch.
        self._padded = (
            torch.nn.functional.pad(images.images, [MAX_SHIFT_PIXELS] * 4) if training else images.images
        )

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        count = len(self.dataset)
        if not self.training:
            for rows in torch.split(torch.arange(count), self.batch_size):
                yield self.dataset.images[rows], self.dataset.labels[rows]
            return
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(count, generator=generator)
        shifts = torch.randint(0, 2 * MAX_SHIFT_PIXELS + 1, (2, count), generator=generator)
        mirrored = torch.rand(count, generator=generator) < 0.5
        for rows in torch.split(order, self.batch_size):
            yield self._shift_and_mirror(rows, shifts[:, rows], mirrored[rows]), self.dataset.labels[rows]

    def _shift_and_mirror(self, rows: Tensor, shifts: Tensor, mirrored: Tensor) -> Tensor:
        side = torch.arange(IMAGE_SIDE)
        from_y = shifts[0][:, None] + side
        from_x = shifts[1][:, None] + torch.where(mirrored[:, None], side.flip(0), side)
        channels = torch.arange(3)[None, :, None, None]
        return self._padded[
            rows[:, None, None, None], channels, from_y[:, None, :, None], from_x[:, None, None, :]
        ]
