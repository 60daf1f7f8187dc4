"""What a training reads, whichever it is: pictures made here, class folders, or CIFAR-10's binary files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsuite.data import cifar
from perfsuite.errors import DataError, UsageError
from perfsuite.training.checkpoint import IMAGENET_MEAN, IMAGENET_STD
from perfsuite.training.distributed import ALONE, Rank
from perfsuite.training.trainer import Batches

EMBEDDED_IMAGES = 512
DEFAULT_IMAGE_SIZE = 64  # small enough for two cores, large enough to tell the pictures apart


@dataclass(frozen=True, slots=True)
class Source:
    """Batches for training, validation and testing, and what a model of them must know."""

    train: Batches
    val: Batches | None
    test: Batches | None
    class_names: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def open_source(
    folder: Path | None,
    *,
    batch_size: int,
    image_size: int | None = None,
    workers: int | None = None,
    mode: str | None = None,
    seed: int = 42,
    rank: Rank = ALONE,
    progress: Callable[[int, int], None] | None = None,
) -> Source:
    """The source of `folder`; None stands for the pictures made here."""
    if folder is not None and cifar.is_cifar_binary(folder):
        if mode is not None or (image_size or cifar.SIDE) != cifar.SIDE:
            raise UsageError(
                f"{folder}: CIFAR-10 is trained at 32 px with its own shifts and mirrors; leave --image-size "
                "and --mode out"
            )
        source = _cifar(folder, batch_size, seed, rank)
    else:
        source = _folder(
            folder, batch_size, image_size or DEFAULT_IMAGE_SIZE, workers, mode, seed, rank, progress
        )
    if len(source.class_names) < 2:
        raise DataError(
            f"{folder}: one class ({', '.join(source.class_names)}), expected at least two, "
            "each with a folder of pictures"
        )
    return source


def _cifar(folder: Path, batch_size: int, seed: int, rank: Rank) -> Source:
    training, test = cifar.read(folder)
    share = cifar.Pictures(*rank.share(training.images, training.labels))
    return Source(
        train=cifar.InMemoryBatches(share, batch_size, training=True, seed=seed),
        val=cifar.InMemoryBatches(test, batch_size),
        test=None,
        class_names=cifar.CLASS_NAMES,
        image_size=cifar.SIDE,
        mean=cifar.MEAN,
        std=cifar.STD,
    )


def _folder(
    folder: Path | None,
    batch_size: int,
    image_size: int,
    workers: int | None,
    mode: str | None,
    seed: int,
    rank: Rank,
    progress: Callable[[int, int], None] | None,
) -> Source:
    from perfsuite.data import photos
    from perfsuite.data.loaders import make_loaders

    options: dict[str, Any] = {"augmentation_mode": mode, "image_size": image_size, "seed": seed}
    try:
        place = photos.cached(images=EMBEDDED_IMAGES, progress=progress) if folder is None else folder
        loaders = make_loaders(place, batch_size, workers, **options)
    except (FileNotFoundError, ValueError) as error:
        raise DataError(str(error)) from error
    return Source(
        train=rank.sharded(loaders.train),
        val=loaders.val if len(loaders.val) else None,
        test=loaders.test if len(loaders.test) else None,
        class_names=tuple(loaders.class_names),
        image_size=image_size,
    )
