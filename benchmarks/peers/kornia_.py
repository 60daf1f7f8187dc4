"""kornia: crops by torchvision image by image, everything else by kornia a batch at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.base import MEAN, STD, LabeledBatches, NormalizedBatches, Peer, Task
from benchmarks.peers.torchvision_ import TorchvisionDataset
from perfsuite.data.sources.files import FileSource


class UnmirroredCrops(TorchvisionDataset):
    """Random crops without mirroring: kornia does that."""

    def draw_parameters(self) -> tuple[bool, float, float, float, float, float]:
        return False, *super().draw_parameters()[1:]


def make(files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches:
    if task == "validation":
        raise NotImplementedError("kornia: validation has no augmentation")
    import kornia.augmentation as k

    steps: list[Any] = [k.RandomHorizontalFlip(p=0.5)]
    if task == "moderate":
        steps += [
            k.RandomAffine(degrees=15, scale=(0.9, 1.1), p=1.0),
            k.ColorJiggle(0.2, 0.2, 0.2, 0.0, p=1.0),
        ]
    steps += [k.Normalize((MEAN / 255).flatten(), (STD / 255).flatten())]
    augment = k.AugmentationSequential(*steps, data_keys=["input"])
    crops = UnmirroredCrops(files, "training")
    return NormalizedBatches(crops, num_workers, finish=lambda images: augment(images.float() / 255))


PEER = Peer("kornia", make)
