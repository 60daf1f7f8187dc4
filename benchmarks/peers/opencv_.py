"""OpenCV and albumentations: bilinear without antialiasing, as albumentations does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers.base import LabeledBatches, NormalizedBatches, Peer, PeerDataset, Task
from perfsuite.data.sources.files import FileSource


class AlbumentationsDataset(PeerDataset):
    """Decoded by OpenCV, then one albumentations pipeline."""

    def __init__(self, files: FileSource, task: Task) -> None:
        import albumentations as a
        import cv2

        # As albumentations advises: otherwise each worker starts its own threads. In a worker it would be too
        # late, because OpenCV would wait for threads that do not exist after the fork.
        cv2.setNumThreads(1)
        super().__init__(files, task)
        steps: list[Any] = [a.SmallestMaxSize(256), a.CenterCrop(224, 224)]
        if task != "validation":
            steps = [a.RandomResizedCrop((224, 224)), a.HorizontalFlip()]
        if task == "moderate":
            steps += [
                a.Affine(scale=(0.9, 1.1), rotate=(-15, 15), p=1.0, fill=128),
                a.ColorJitter((0.8, 1.2), (0.8, 1.2), (0.8, 1.2), (0, 0), p=1.0),
            ]
        self.pipeline = a.Compose(steps)

    def decode(self, data: bytes) -> Any:
        import cv2

        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        image = self.pipeline(image=self.decode(self.files.read(row)))["image"]
        return torch.from_numpy(image).permute(2, 0, 1), int(self.files.labels[row])


def make(files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches:
    return NormalizedBatches(AlbumentationsDataset(files, task), num_workers)


PEER = Peer("opencv", make, is_antialiased=False)
