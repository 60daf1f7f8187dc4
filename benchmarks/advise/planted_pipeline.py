"""A loading pipeline and a training step in which one place is slow, for planted_places."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from perfsuite.data.sources.files import FileSource

IMAGE_SIZE = 32

step_seconds = 0.0  # of an image, in the planted model's step


def compute(seconds: float) -> None:
    """Use the processor for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def planted_model(num_classes: int = 10) -> nn.Module:
    """A small classifier whose step computes for as long as the trial says."""

    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, num_classes)

        def forward(self, images: Tensor) -> Tensor:
            compute(step_seconds * len(images))
            scores: Tensor = self.head(images.mean((2, 3)))
            return scores

    return Slow()


class ForeignImages(Dataset[tuple[Tensor, int]]):
    """JPEGs in memory, read, decoded and transformed by functions of its own."""

    def __init__(self, files: Sequence[bytes], place: str, seconds: float) -> None:
        self.files, self.place, self.seconds = files, place, seconds

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.augment(self.decode_image(self.read_file(row))), row % 2

    def read_file(self, row: int) -> bytes:
        if self.place == "storage":
            time.sleep(self.seconds)
        return self.files[row]

    def decode_image(self, data: bytes) -> Image.Image:
        if self.place == "decode":
            compute(self.seconds)
        return Image.open(io.BytesIO(data)).convert("RGB")

    def augment(self, image: Image.Image) -> Tensor:
        if self.place == "transform":
            compute(self.seconds)
        pixels = np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE)), np.float32) / 255
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def collate(self, samples: list[Any]) -> Any:
        if self.place == "collate":
            compute(self.seconds * len(samples))  # as one that copies every image again and again
        return default_collate(samples)


@dataclass(frozen=True)
class SlowSource:
    """A source of files whose storage answers late."""

    files: FileSource
    seconds: float

    def __len__(self) -> int:
        return len(self.files)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.files, name)

    def read(self, row: int) -> bytes:
        time.sleep(self.seconds)
        return self.files.read(row)
