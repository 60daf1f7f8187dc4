"""What a training reads, whichever it is: images made here, class folders, or CIFAR-10's binary files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from perfsuite.data.sources import cifar
from perfsuite.errors import DataError, UsageError
from perfsuite.training.distributed.ranks import SINGLE_PROCESS, Rank
from perfsuite.training.run.trainer import BatchLoader
from perfsuite.transforms.normalization.channel_stats import IMAGENET

SYNTHETIC_IMAGE_COUNT = 512
DEFAULT_IMAGE_SIZE = 64  # small enough for two cores, large enough to tell the images apart


def _close_nothing() -> None: ...


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Batches for training, validation and testing, and what a model of them must know."""

    train: BatchLoader
    val: BatchLoader | None
    test: BatchLoader | None
    class_names: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...] = IMAGENET.mean
    std: tuple[float, ...] = IMAGENET.std
    close: Callable[[], None] = _close_nothing


def resolve_image_size(folder: Path | None, asked: int | None = None) -> int:
    """The side that images of `folder` are trained at."""
    return asked or (
        cifar.IMAGE_SIDE if folder is not None and cifar.is_cifar_binary(folder) else DEFAULT_IMAGE_SIZE
    )


def open_training_data(
    folder: Path | None,
    *,
    batch_size: int,
    image_size: int | None = None,
    workers: int | None = None,
    mode: str | None = None,
    seed: int = 42,
    rank: Rank = SINGLE_PROCESS,
    channels_last: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> TrainingData:
    """The source of `folder`; None stands for the images made here."""
    if folder is not None and (folder / "batches.meta").is_file():
        raise DataError(
            f"{folder}: CIFAR-10's Python version, whose pickles could run code and are not read; give the "
            "binary version (cifar-10-batches-bin)"
        )
    if folder is not None and cifar.is_cifar_binary(folder):
        if mode is not None or (image_size or cifar.IMAGE_SIDE) != cifar.IMAGE_SIDE:
            raise UsageError(
                f"{folder}: CIFAR-10 is trained at 32 px with its own shifts and mirrors; leave --image-size "
                "and --augmentation-mode out"
            )
        source = _cifar_data(folder, batch_size, seed, rank)
    else:
        source = _folder_data(
            folder if folder is not None else _synthetic_images(progress),
            _loader_options(rank, channels_last)
            | {"batch_size": batch_size, "num_workers": workers, "augmentation_mode": mode, "seed": seed},
            resolve_image_size(folder, image_size),
        )
    if len(source.class_names) < 2:
        raise DataError(
            f"{folder}: one class ({', '.join(source.class_names)}), expected at least two, "
            "each with a folder of images"
        )
    return source


def _cifar_data(folder: Path, batch_size: int, seed: int, rank: Rank) -> TrainingData:
    training, test = cifar.read_cifar10(folder)
    share = cifar.LabeledImages(*rank.select_rows(training.images, training.labels))
    own = slice(rank.index, None, rank.world_size)
    tested = cifar.LabeledImages(test.images[own], test.labels[own])
    return TrainingData(
        train=cifar.InMemoryBatches(share, batch_size, training=True, seed=seed),
        val=cifar.InMemoryBatches(tested, batch_size),
        test=None,
        class_names=cifar.CLASS_NAMES,
        image_size=cifar.IMAGE_SIDE,
        mean=cifar.MEAN,
        std=cifar.STD,
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
        close=loaders.close,
    )


def _synthetic_images(progress: Callable[[int, int], None] | None) -> Path:
    from perfsuite.data.synthetic import dataset

    return dataset.cached_dataset(images=SYNTHETIC_IMAGE_COUNT, progress=progress)


def _loader_options(rank: Rank, channels_last: bool) -> dict[str, Any]:
    """Bytes stay bytes until they are on a GPU; on a CPU they are normalized as they leave their slot."""
    from perfsuite.data.loader import Normalize

    layout = torch.channels_last if channels_last else torch.contiguous_format
    dtype = torch.uint8 if rank.device.type == "cuda" else torch.float32
    return {
        "normalize": Normalize(IMAGENET.mean, IMAGENET.std, dtype, layout),
        "rank": rank.index,
        "world_size": rank.world_size,
    }
