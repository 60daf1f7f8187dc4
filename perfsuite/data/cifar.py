"""CIFAR-10 as its authors' binary files have it: no pickle, the whole set as bytes in memory."""

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
SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHIFT = 4  # pixels that a training picture may move by


@dataclass(frozen=True, slots=True)
class Pictures:
    """uint8 NCHW pictures and their labels."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def is_cifar_binary(folder: str | Path) -> bool:
    return any(Path(folder).glob("data_batch_*.bin"))


def read(folder: str | Path) -> tuple[Pictures, Pictures]:
    """The training and the test pictures of a folder with data_batch_*.bin and test_batch.bin."""
    folder = Path(folder)
    training = sorted(folder.glob("data_batch_*.bin"))
    if not training:
        raise DataError(f"{folder}: no data_batch_*.bin, expected CIFAR-10's binary version unpacked here")
    test = folder / "test_batch.bin"
    if not test.is_file():
        raise DataError(f"{folder}: no test_batch.bin beside {training[0].name}; unpack the archive again")
    return _joined([_file(path) for path in training]), _file(test)


def _file(path: Path) -> Pictures:
    found = np.fromfile(path, dtype=np.uint8)
    if found.size == 0 or found.size % RECORD_BYTES:
        raise DataError(
            f"{path}: {found.size:,} bytes, expected a multiple of {RECORD_BYTES:,} (label and 32x32x3); "
            "it is truncated or not CIFAR-10's binary version"
        )
    records = found.reshape(-1, RECORD_BYTES)
    labels = torch.from_numpy(records[:, 0].astype(np.int64))
    if int(labels.max()) >= len(CLASS_NAMES):
        raise DataError(f"{path}: label {int(labels.max())}, expected 0 to 9; it is damaged or not CIFAR-10")
    return Pictures(torch.from_numpy(records[:, 1:].reshape(-1, 3, SIDE, SIDE).copy()), labels)


def _joined(parts: list[Pictures]) -> Pictures:
    return Pictures(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))


class InMemoryBatches:
    """Batches cut out of memory, whole batches at a time: a worker process would only copy them once more.

    Training batches are shuffled, mirrored and moved by up to 4 pixels, all drawn from (seed, epoch).

    >>> pictures = Pictures(torch.zeros(5, 3, 32, 32, dtype=torch.uint8), torch.arange(5))
    >>> [len(labels) for _, labels in InMemoryBatches(pictures, batch_size=2)]
    [2, 2, 1]
    """

    def __init__(
        self, pictures: Pictures, batch_size: int, *, training: bool = False, seed: int = 42
    ) -> None:
        self.pictures = pictures
        self.batch_size = batch_size
        self.training = training
        self.seed = seed
        self.epoch = 0
        # Once, instead of for every batch.
        self._padded = torch.nn.functional.pad(pictures.images, [SHIFT] * 4) if training else pictures.images

    def __len__(self) -> int:
        return -(-len(self.pictures) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        count = len(self.pictures)
        if not self.training:
            for rows in torch.split(torch.arange(count), self.batch_size):
                yield self.pictures.images[rows], self.pictures.labels[rows]
            return
        chance = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(count, generator=chance)
        moves = torch.randint(0, 2 * SHIFT + 1, (2, count), generator=chance)
        mirrored = torch.rand(count, generator=chance) < 0.5
        for rows in torch.split(order, self.batch_size):
            yield self._moved(rows, moves[:, rows], mirrored[rows]), self.pictures.labels[rows]

    def _moved(self, rows: Tensor, moves: Tensor, mirrored: Tensor) -> Tensor:
        side = torch.arange(SIDE)
        down = moves[0][:, None] + side
        across = moves[1][:, None] + torch.where(mirrored[:, None], side.flip(0), side)
        channels = torch.arange(3)[None, :, None, None]
        return self._padded[
            rows[:, None, None, None], channels, down[:, None, :, None], across[:, None, None, :]
        ]
