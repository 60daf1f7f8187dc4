"""What a training reads, whichever it is: pictures made here, class folders, or CIFAR-10's binary files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from perfsuite.data import cifar
from perfsuite.errors import DataError, UsageError
from perfsuite.training.distributed import ALONE, Rank
from perfsuite.training.trainer import Batches
from perfsuite.transforms.statistics import IMAGENET

EMBEDDED_IMAGES = 512
DEFAULT_IMAGE_SIZE = 64  # small enough for two cores, large enough to tell the pictures apart


def _nothing_to_close() -> None: ...


@dataclass(frozen=True, slots=True)
class Source:
    """Batches for training, validation and testing, and what a model of them must know."""

    train: Batches
    val: Batches | None
    test: Batches | None
    class_names: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...] = IMAGENET.mean
    std: tuple[float, ...] = IMAGENET.std
    close: Callable[[], None] = _nothing_to_close


def image_size_of(folder: Path | None, asked: int | None = None) -> int:
    """The side that pictures of `folder` are trained at."""
    return asked or (
        cifar.SIDE if folder is not None and cifar.is_cifar_binary(folder) else DEFAULT_IMAGE_SIZE
    )


def open_source(
    folder: Path | None,
    *,
    batch_size: int,
    image_size: int | None = None,
    workers: int | None = None,
    mode: str | None = None,
    seed: int = 42,
    rank: Rank = ALONE,
    channels_last: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Source:
    """The source of `folder`; None stands for the pictures made here."""
    if folder is not None and (folder / "batches.meta").is_file():
        raise DataError(
            f"{folder}: CIFAR-10's Python version, whose pickles could run code and are not read; give the "
            "binary version (cifar-10-batches-bin)"
        )
    if folder is not None and cifar.is_cifar_binary(folder):
        if mode is not None or (image_size or cifar.SIDE) != cifar.SIDE:
            raise UsageError(
                f"{folder}: CIFAR-10 is trained at 32 px with its own shifts and mirrors; leave --image-size "
                "and --mode out"
            )
        source = _cifar(folder, batch_size, seed, rank)
    else:
        source = _folder(
            folder if folder is not None else _embedded(progress),
            _reading(rank, channels_last)
            | {"batch_size": batch_size, "num_workers": workers, "augmentation_mode": mode, "seed": seed},
            image_size_of(folder, image_size),
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
    own = slice(rank.index, None, rank.world_size)
    tested = cifar.Pictures(test.images[own], test.labels[own])
    return Source(
        train=cifar.InMemoryBatches(share, batch_size, training=True, seed=seed),
        val=cifar.InMemoryBatches(tested, batch_size),
        test=None,
        class_names=cifar.CLASS_NAMES,
        image_size=cifar.SIDE,
        mean=cifar.MEAN,
        std=cifar.STD,
    )


def _folder(folder: Path, options: dict[str, Any], image_size: int) -> Source:
    from perfsuite.data.loaders import make_loaders

    try:
        loaders = make_loaders(folder, image_size=image_size, **options)
    except (FileNotFoundError, ValueError) as error:
        raise DataError(str(error)) from error
    return Source(
        train=loaders.train,
        val=loaders.val if len(loaders.val) else None,
        test=loaders.test if len(loaders.test) else None,
        class_names=tuple(loaders.class_names),
        image_size=image_size,
        close=loaders.close,
    )


def _embedded(progress: Callable[[int, int], None] | None) -> Path:
    from perfsuite.data import photos

    return photos.cached(images=EMBEDDED_IMAGES, progress=progress)


def _reading(rank: Rank, channels_last: bool) -> dict[str, Any]:
    """Bytes stay bytes until they are on a GPU; on a CPU they are normalised as they leave their slot."""
    from perfsuite.data.loader import Normalise

    layout = torch.channels_last if channels_last else torch.contiguous_format
    dtype = torch.uint8 if rank.device.type == "cuda" else torch.float32
    return {
        "normalise": Normalise(IMAGENET.mean, IMAGENET.std, dtype, layout),
        "rank": rank.index,
        "world_size": rank.world_size,
    }
