"""The ways of feeding images that people use today: the same crops, sizes and float32 output as ours.

`PEERS` makes each by name, for some `work` (validation, training, moderate) with so many workers. What is not
installed raises ImportError; what a library cannot do, NotImplementedError.
"""

from __future__ import annotations

from . import formats, pipelines
from .datasets import (
    NormalizedBatches,
    OpenCvDataset,
    PilImageFolder,
    SimplejpegDataset,
    TorchvisionDataset,
)

AUGMENTATION_MODES = {
    "validation": "none",
    "training": None,
    "moderate": "moderate",
}  # and our augmentation_mode


def pillow(files, work, workers, folder):
    """What most code does: slower than all the others."""
    if work == "moderate":
        raise NotImplementedError("Pillow: the reference has no moderate mode")
    return NormalizedBatches(
        PilImageFolder(files, training=work == "training"), workers, finish=lambda images: images
    )


def torchvision(files, work, workers, folder):
    return NormalizedBatches(TorchvisionDataset(files, work), workers)


def opencv(files, work, workers, folder):
    return NormalizedBatches(OpenCvDataset(files, work), workers)


def simplejpeg(files, work, workers, folder):
    return NormalizedBatches(SimplejpegDataset(files, work), workers)


PEERS = {
    "pillow": pillow,
    "torchvision": torchvision,
    "opencv": opencv,
    "simplejpeg": simplejpeg,
    "webdataset": formats.webdataset,
    "litdata": formats.litdata,
    "streaming": formats.streaming,
    "ffcv": formats.ffcv,
    "kornia": pipelines.kornia,
    "dali": pipelines.dali,
    "spdl": pipelines.spdl,
}
# Resized without antialiasing, which is less work.
NOT_ANTIALIASED = ("opencv", "simplejpeg", "ffcv")
