"""CIFAR-10 from its binary version (no pickle), held in memory as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from perfsuite.data.image_file import read_file
from perfsuite.errors import DataError

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
    try:
        data = np.frombuffer(read_file(path), np.uint8)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}, expected a readable file") from error
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
