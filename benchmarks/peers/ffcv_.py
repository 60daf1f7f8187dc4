"""FFCV: a file of its own, decoded and cropped in compiled threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.peers.base import BATCH_SIZE, LabeledBatches, Peer, Task, normalize_batch
from perfsuite.data.sources.files import FileSource


def make(files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches:
    return make_ffcv(files, task, num_workers, folder)


def make_ffcv(
    files: FileSource, task: Task, num_workers: int, folder: Path, write_mode: str = "jpg"
) -> LabeledBatches:
    """With `write_mode="raw"` the file holds pixels: the peer of images that are decoded once."""
    if task == "moderate":
        raise NotImplementedError("ffcv: no rotation and no zoom")
    from ffcv.fields.decoders import (
        CenterCropRGBImageDecoder,
        IntDecoder,
        RandomResizedCropRGBImageDecoder,
    )
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import RandomHorizontalFlip, ToTensor, ToTorchImage

    steps: list[Any] = [CenterCropRGBImageDecoder((224, 224), ratio=224 / 256)]
    if task == "training":
        steps = [RandomResizedCropRGBImageDecoder((224, 224)), RandomHorizontalFlip()]
    path = folder / "images.beton"
    _write_beton(files, path, write_mode)
    loader = Loader(
        str(path),
        batch_size=BATCH_SIZE,
        num_workers=max(1, num_workers),
        order=OrderOption.SEQUENTIAL,
        pipelines={
            "image": [*steps, ToTensor(), ToTorchImage(channels_last=False)],
            "label": [IntDecoder(), ToTensor()],
        },
    )
    return _FfcvBatches(loader)


class _FfcvBatches:
    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in self.loader:
            yield normalize_batch(images), labels[:, 0]


def _write_beton(files: FileSource, path: Path, write_mode: str) -> None:
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    # FFCV encodes JPEGs again: quality 92 gives about as many bytes as the source files have. Raw pixels are
    # stored at 256 on the shorter side of a 4:3 image, as our cache stores them.
    max_side = 341 if write_mode == "raw" else None
    image = RGBImageField(write_mode=write_mode, max_resolution=max_side, jpeg_quality=92)
    fields = {"image": image, "label": IntField()}
    DatasetWriter(str(path), fields, num_workers=1).from_indexed_dataset(_PillowImages(files))


class _PillowImages:
    def __init__(self, files: FileSource) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        from PIL import Image

        with Image.open(self.files.path(row)) as image:
            return image.convert("RGB"), int(self.files.labels[row])


PEER = Peer("ffcv", make, is_antialiased=False)
