"""The data of a training run: synthetic images, class folders, or CIFAR-10's binary files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perfsuite.data.device_dataset import DeviceDataset
from perfsuite.data.faults import FaultLog, FaultPolicy
from perfsuite.data.loader import Loader
from perfsuite.data.sources import cifar
from perfsuite.data.speed_settings import SpeedSettings
from perfsuite.errors import DataError, UsageError
from perfsuite.training.distributed.ranks import SINGLE_PROCESS, Rank
from perfsuite.training.run.batch_loader import BatchLoader
from perfsuite.training.run.device_batches import DeviceBatches
from perfsuite.transforms.augment.modes import get_mode
from perfsuite.transforms.normalization.channel_stats import CIFAR10, IMAGENET

SYNTHETIC_IMAGE_COUNT = 512
DEFAULT_IMAGE_SIZE = 64  # small enough for two cores, large enough to distinguish the classes


def _close_nothing() -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Batches for training, validation and testing, and what a model needs to know of them."""

    train: BatchLoader
    val: BatchLoader | None
    test: BatchLoader | None
    class_names: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...] = IMAGENET.mean
    std: tuple[float, ...] = IMAGENET.std
    num_workers: int = 0
    augmentation_mode: str = "none"
    close: Callable[[], None] = _close_nothing

    def fault_logs(self) -> Mapping[str, FaultLog]:
        """The images of each split that could not be read, so far."""
        splits = {"train": self.train, "val": self.val, "test": self.test}
        return {name: loader.faults for name, loader in splits.items() if isinstance(loader, Loader)}


def resolve_image_size(folder: Path | None, requested: int | None = None) -> int:
    """Return the side in pixels to train the images of `folder` at."""
    if requested:
        return requested
    is_cifar = folder is not None and cifar.is_cifar_binary(folder)
    return cifar.IMAGE_SIDE if is_cifar else DEFAULT_IMAGE_SIZE


def open_training_data(
    folder: Path | None,
    *,
    batch_size: int,
    image_size: int | None = None,
    workers: int | None = None,
    mode: str | None = None,
    on_error: FaultPolicy = "raise",
    seed: int = 42,
    rank: Rank = SINGLE_PROCESS,
    channels_last: bool = False,
    progress: Callable[[int, int], None] | None = None,
    settings: SpeedSettings | None = None,
) -> TrainingData:
    """Open the data in `folder`; without a folder, synthetic images.

    `progress` receives how many synthetic images are done, and of how many.
    """
    if folder is not None and (folder / "batches.meta").is_file():
        raise DataError(
            f"{folder}: CIFAR-10's Python version, expected the binary one, because pickles can run code; "
            "give the binary version (cifar-10-batches-bin)"
        )
    if folder is not None and cifar.is_cifar_binary(folder):
        if mode is not None or (image_size or cifar.IMAGE_SIDE) != cifar.IMAGE_SIDE:
            raise UsageError(
                f"{folder}: CIFAR-10 with another image size or mode, expected 32 px with its own shifts and "
                "mirrors; leave --image-size and --augmentation-mode out"
            )
        data = _cifar_data(folder, batch_size, seed, rank, channels_last)
    else:
        data = _folder_data(
            folder if folder is not None else _synthetic_images(progress),
            _loader_options(rank, channels_last)
            | {"batch_size": batch_size, "num_workers": workers, "seed": seed}
            | ({} if mode is None else {"augmentation_mode": mode})
            | {"on_error": on_error, "settings": settings},
            resolve_image_size(folder, image_size),
        )
    if len(data.class_names) < 2:
        raise DataError(
            f"{folder}: one class ({', '.join(data.class_names)}), expected at least two, "
            "each with a folder of images; add the other classes' folders"
        )
    return data


def _cifar_data(folder: Path, batch_size: int, seed: int, rank: Rank, channels_last: bool) -> TrainingData:
    """CIFAR-10 has no validation images: its test images validate, and none are left for a test."""
    training, test = cifar.read_cifar10(folder)
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def open_batches(images: Tensor, labels: Tensor, **options: Any) -> DeviceBatches:
        dataset = DeviceDataset(
            images.to(rank.device),
            labels.to(rank.device),
            CIFAR10,
            batch_size,
            memory_format=layout,
            **options,
        )
        return DeviceBatches(dataset)

    # Every test image counts once, so the ranks may have different numbers of them.
    test_rows = slice(rank.index, None, rank.world_size)
    return TrainingData(
        train=open_batches(
            *rank.select_rows(training.images, training.labels),
            padding=cifar.MAX_SHIFT_PIXELS,
            mirror=True,
            fill=0,
            seed=seed,
        ),
        val=open_batches(test.images[test_rows], test.labels[test_rows], shuffle=False),
        test=None,
        class_names=cifar.CLASS_NAMES,
        image_size=cifar.IMAGE_SIDE,
        mean=CIFAR10.mean,
        std=CIFAR10.std,
        augmentation_mode="shift and mirror",
    )


def _folder_data(folder: Path, options: dict[str, Any], image_size: int) -> TrainingData:
    from perfsuite.data.loaders import make_loaders

    try:
        loaders = make_loaders(folder, image_size=image_size, **options)
    except (FileNotFoundError, ValueError) as error:
        raise DataError(str(error)) from error
    return TrainingData(
        train=loaders.train,
        val=loaders.val if len(loaders.val) else None,
        test=loaders.test if len(loaders.test) else None,
        class_names=tuple(loaders.class_names),
        image_size=image_size,
        num_workers=loaders.info["num_workers"],
        augmentation_mode=get_mode(loaders.train.image_config.mode).name,
        close=loaders.close,
    )


def _synthetic_images(progress: Callable[[int, int], None] | None) -> Path:
    from perfsuite.data.synthetic import dataset

    return dataset.cached_dataset(images=SYNTHETIC_IMAGE_COUNT, progress=progress)


def _loader_options(rank: Rank, channels_last: bool) -> dict[str, Any]:
    """Return the loader options of this rank: on a GPU images stay uint8 until after the transfer."""
    from perfsuite.data.loader import Normalize

    layout = torch.channels_last if channels_last else torch.contiguous_format
    dtype = torch.uint8 if rank.device.type == "cuda" else torch.float32
    return {
        "normalize": Normalize(IMAGENET.mean, IMAGENET.std, dtype, layout),
        "rank": rank.index,
        "world_size": rank.world_size,
    }
