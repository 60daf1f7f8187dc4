"""Pillow and torchvision's transforms, image by image: what most code does, and the slowest."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from benchmarks.peers.base import LabeledBatches, NormalizedBatches, Peer, Task
from perfsuite.data.image_file import open_image
from perfsuite.data.sources.files import FileSource
from perfsuite.transforms.normalization.channel_stats import IMAGENET


class PilImageFolder(Dataset[tuple[torch.Tensor, int]]):
    """The slow reference: Pillow decodes and crops each file, and each image is normalized by itself."""

    def __init__(self, files: FileSource, image_size: int = 224, training: bool = False) -> None:
        from torchvision import transforms

        crop: list[Any] = [transforms.Resize(image_size * 8 // 7), transforms.CenterCrop(image_size)]
        if training:
            crop = [transforms.RandomResizedCrop(image_size), transforms.RandomHorizontalFlip()]
        normalize = transforms.Normalize(IMAGENET.mean, IMAGENET.std)
        self.files = files
        self._transform = transforms.Compose([*crop, transforms.ToTensor(), normalize])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        with open_image(io.BytesIO(self.files.read(row))) as image:
            return self._transform(image.convert("RGB")), int(self.files.labels[row])


def make(files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches:
    if task == "moderate":
        raise NotImplementedError("pillow: the reference has no moderate mode")
    data = PilImageFolder(files, training=task == "training")
    return NormalizedBatches(data, num_workers, finish=lambda images: images)


PEER = Peer("pillow", make)
