"""Pillow and torchvision's transforms, image by image: what most code does, and the slowest."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.base import LabeledBatches, NormalizedBatches, Peer, Task
from perfsuite.data.datasets import PilImageFolder
from perfsuite.data.sources.files import FileSource


def make(files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches:
    if task == "moderate":
        raise NotImplementedError("pillow: the reference has no moderate mode")
    data = PilImageFolder(files, training=task == "training")
    return NormalizedBatches(data, num_workers, finish=lambda images: images)


PEER = Peer("pillow", make)
