"""`make_loaders`: from a folder of pictures to batches that a training step can use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from perfsuite.data.decode import decoder
from perfsuite.data.sets import ImageFolder, split
from perfsuite.stages import stage

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Batch = tuple[torch.Tensor, torch.Tensor]


class Loader:
    """Batches of (images, labels): float32 NCHW, normalised; as long as an epoch."""

    def __init__(self, loader: DataLoader[Batch], samples: int) -> None:
        self._loader = loader
        self.samples = samples
        self.batch_size = loader.batch_size

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        for images, labels in self._loader:
            with stage("normalise"):
                normalised = _normalise(images)
            yield normalised, labels


@dataclass(frozen=True, slots=True)
class Loaders:
    """What `make_loaders` gives: three loaders, the classes' names, and facts about all of it."""

    train: Loader
    val: Loader
    test: Loader
    class_names: tuple[str, ...]
    info: Mapping[str, Any]


class FastImageFolder(Dataset[Batch]):
    """A folder's pictures through a direct decoder: uint8, resized and cropped, CHW."""

    def __init__(self, folder: ImageFolder, image_size: int, training: bool, decode: str = "auto") -> None:
        self.folder = folder
        self._decode = decode
        self._transform = _geometry(image_size, training)

    def __len__(self) -> int:
        return len(self.folder)

    def __getitem__(self, row: int) -> Batch:
        with stage("read"):
            data = self.folder.read_bytes(row)
        with stage("decode"):
            pixels = decoder(self._decode)(data)
        with stage("resize"):
            image = self._transform(torch.from_numpy(pixels).permute(2, 0, 1))
        return image, torch.tensor(self.folder.labels[row])


class PilImageFolder(Dataset[Batch]):
    """The slow reference: Pillow from file to crop, picture by picture, normalised one at a time."""

    def __init__(self, folder: ImageFolder, image_size: int = 224, training: bool = False) -> None:
        from torchvision import transforms

        self.folder = folder
        crop = [transforms.Resize(image_size * 8 // 7), transforms.CenterCrop(image_size)]
        if training:
            crop = [transforms.RandomResizedCrop(image_size), transforms.RandomHorizontalFlip()]
        self._transform = transforms.Compose(
            [*crop, transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
        )

    def __len__(self) -> int:
        return len(self.folder)

    def __getitem__(self, row: int) -> Batch:
        from PIL import Image

        with Image.open(self.folder.root / self.folder.files[row]) as image:
            return self._transform(image.convert("RGB")), torch.tensor(self.folder.labels[row])


def make_loaders(
    data_dir: str | Path,
    batch_size: int = 32,
    num_workers: int | None = None,
    augmentation_mode: str | None = None,
    image_size: int = 224,
    seed: int = 42,
    val_fraction: float = 0.1,
    test_fraction: float = 0.1,
    pin_memory: bool | None = None,
    prefetch_factor: int = 2,
    persistent_workers: bool = True,
) -> Loaders:
    """Loaders for a folder of class folders, split by a hash of the names.

    >>> from perfsuite.data import photos
    >>> loaders = make_loaders(photos.cached(images=40, classes=2, size=(64, 48)), 8, 0, image_size=32)
    >>> images, labels = next(iter(loaders.val))
    >>> images.shape, images.dtype, loaders.class_names
    (torch.Size([4, 3, 32, 32]), torch.float32, ('class_00', 'class_01'))
    """
    workers = default_workers() if num_workers is None else num_workers
    if augmentation_mode is not None:
        raise ValueError(f"make_loaders: augmentation_mode is {augmentation_mode!r}, expected None")
    parts = split(ImageFolder.read(data_dir), val_fraction, test_fraction)

    def loader(part: str) -> Loader:
        training = part == "train"
        generator = torch.Generator()
        generator.manual_seed(seed)
        many: dict[str, Any] = {"prefetch_factor": prefetch_factor, "persistent_workers": persistent_workers}
        return Loader(
            DataLoader(
                FastImageFolder(parts[part], image_size, training),
                batch_size=batch_size,
                shuffle=training and len(parts[part]) > 0,
                num_workers=workers,
                generator=generator,
                pin_memory=torch.cuda.is_available() if pin_memory is None else pin_memory,
                **(many if workers else {}),
            ),
            len(parts[part]),
        )

    names = parts["train"].class_names
    info = {"samples": {part: len(found) for part, found in parts.items()}, "num_workers": workers}
    return Loaders(loader("train"), loader("val"), loader("test"), names, info)


def default_workers() -> int:
    """One worker a core that this process may use, at most 8."""
    return min(8, len(os.sched_getaffinity(0)))


def _geometry(image_size: int, training: bool) -> v2.Transform:
    if training:
        return v2.Compose([v2.RandomResizedCrop(image_size, antialias=True), v2.RandomHorizontalFlip()])
    return v2.Compose([v2.Resize(image_size * 8 // 7, antialias=True), v2.CenterCrop(image_size)])


def _normalise(images: torch.Tensor) -> torch.Tensor:
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) * 255
    std = torch.tensor(IMAGENET_STD).view(1, 3, 1, 1) * 255
    return images.float().sub_(mean).div_(std)
