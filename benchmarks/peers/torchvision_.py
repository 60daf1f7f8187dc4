"""torchvision.io and transforms v2 on bytes, antialiased."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.base import LabeledBatches, NormalizedBatches, Peer, PeerDataset, Task
from perfsuite.data.sources.files import FileSource


class TorchvisionDataset(PeerDataset):
    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.preprocess(self.files.read(row)), int(self.files.labels[row])

    def preprocess(self, data: bytes) -> Tensor:
        """Decode, crop, resize and augment one image."""
        import torchvision.io  # noqa: F401 - registers torch.ops.image
        from torchvision.transforms.v2 import functional as f

        image: Any = torch.ops.image.decode_jpeg(
            torch.frombuffer(bytearray(data), dtype=torch.uint8), 3, False
        )
        if self.task == "validation":
            cropped: Tensor = f.center_crop(f.resize(image, [256], antialias=True), [224])
            return cropped
        left, top, width, height = self.draw_crop_box(image.shape[2], image.shape[1])
        image = f.resized_crop(image, top, left, height, width, [224, 224], antialias=True)
        mirror, degrees, zoom, brightness, contrast, saturation = self.draw_parameters()
        if mirror:
            image = f.horizontal_flip(image)
        if self.task == "moderate":
            image = f.affine(image, degrees, [0, 0], zoom, [0.0], f.InterpolationMode.BILINEAR, fill=[128.0])
            image = f.adjust_brightness(image, brightness)
            image = f.adjust_saturation(f.adjust_contrast(image, contrast), saturation)
        made: Tensor = image
        return made


def make(files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches:
    return NormalizedBatches(TorchvisionDataset(files, task), num_workers)


PEER = Peer("torchvision", make)
