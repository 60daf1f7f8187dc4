"""`make_loaders`: from a folder of images to batches that a training step can use.

>>> from perfsuite.data.synthetic import dataset
>>> loaders = make_loaders(dataset.cached_dataset(images=40, classes=2, size=(64, 48)), 8, 0, image_size=32)
>>> images, labels = next(iter(loaders.val))
>>> images.shape, images.dtype, loaders.class_names
(torch.Size([4, 3, 32, 32]), torch.float32, ('class_00', 'class_01'))
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from perfsuite.data.cache.cached_source import cache_splits
from perfsuite.data.engines.base import Engine, WorkerConfig, make_engine
from perfsuite.data.engines.device import DeviceDecodeEngine
from perfsuite.data.engines.device_prefetch import DevicePrefetcher
from perfsuite.data.faults import FaultPolicy
from perfsuite.data.image_config import Crop, ImageConfig
from perfsuite.data.loader import Loader, Normalize
from perfsuite.data.order import Order, Sampler, SeededSampler, UnevenPolicy
from perfsuite.data.sources.annotations import Annotations, read_annotations
from perfsuite.data.sources.files import SPLITS, ImageSource, class_weights, read_splits, split_source
from perfsuite.data.sources.maps import MapSource
from perfsuite.data.targets import TargetBuilder
from perfsuite.transforms import AugmentationMode

# A training crop and mirroring are what everybody does; a mode is what comes on top.
MIRROR_ONLY = "mirror"


@dataclass(frozen=True, slots=True)
class Loaders:
    """What `make_loaders` gives: three loaders, the classes' names, and facts about all of it."""

    train: Loader
    val: Loader
    test: Loader
    class_names: tuple[str, ...]
    info: Mapping[str, Any]

    def close(self) -> None:
        for loader in (self.train, self.val, self.test):
            loader.close()


def make_loaders(
    data_dir: str | Path | Mapping[str, ImageSource],
    batch_size: int = 32,
    num_workers: int | None = None,
    augmentation_mode: str | AugmentationMode | None = None,
    image_size: int = 224,
    seed: int = 42,
    *,
    val_fraction: float = 0.1,
    test_fraction: float = 0.1,
    train_crop: Crop = "random",
    val_crop: Crop = "center",
    on_error: FaultPolicy = "raise",
    engine: str = "auto",
    prefetch_factor: int = 2,
    pin_memory: bool | None = None,
    persistent_workers: bool = True,
    sampler: Sampler | None = None,
    start_method: str | None = None,
    normalize: Normalize | None = None,
    drop_last: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
    uneven: UnevenPolicy = "pad",
    decoder: str = "auto",
    reduce: bool = False,
    cache: Literal["ram", "disk"] | None = None,
    cache_epochs: int = 0,
    device: str | torch.device = "cpu",
    cores: Sequence[int] = (),
    annotations: str | Path | Annotations | None = None,
    maps: str | Path | MapSource | None = None,
) -> Loaders:
    """Loaders for a folder of class folders (or of train, val and test), or for sources made elsewhere.

    With `annotations` (our own or COCO's) the images are the annotated ones under `data_dir`, and labels
    are targets whose boxes, polygons and keypoints follow what is done to the images. `maps` are read from
    that folder, and drawn where they are not stored.

    `augmentation_mode` None crops at random and mirrors; "conservative", "moderate" and "aggressive" add
    their operations to the crop; "none" shows the center, the same in every epoch. Validation and test are
    never augmented.

    `reduce` decodes a large JPEG smaller, where that leaves twice what is shown: faster, and not quite the
    same pixels. `cache` keeps decoded images, in memory or in a file, as far as there is room
    (more options: perfsuite.data.cache.cached_source); with `cache_epochs` the finished training images
    of so many epochs, which are then shown again. With a `device` batches are copied there ahead of time, and
    normalized there. `cores` binds the workers to these, one after the other.

    `pin_memory` (by default where there is a GPU, and without one it does nothing) gives batches that a GPU
    copies by itself. `sampler` says which training rows come in which order, before they are shared out to
    ranks. Workers live on between epochs unless `persistent_workers` is False.
    """
    workers = default_num_workers() if num_workers is None else num_workers
    pinned = torch.cuda.is_available() and pin_memory is not False
    how = WorkerConfig(workers, prefetch_factor, pinned, start_method, tuple(cores))
    found = read_annotations(annotations) if isinstance(annotations, str | Path) else annotations
    parts = _open_splits(data_dir, found, val_fraction, test_fraction)
    place, world = _resolve_rank(rank, world_size)
    plain = ImageConfig(
        image_size,
        val_crop,
        "none",
        seed,
        on_error,
        decoder=decoder,
        reduce=reduce,
        with_geometry=found is not None,
        maps=MapSource(maps, found) if isinstance(maps, str | Path) else maps,
    )
    targets = None if found is None else TargetBuilder(found, image_size)
    recipes = dict.fromkeys(SPLITS, plain) | {"train": _training_config(plain, augmentation_mode, train_crop)}
    if cache_epochs and cache is None:
        raise ValueError(f"cache_epochs: {cache_epochs} without a cache, expected cache='ram' or 'disk' too")
    if cache is not None:
        parts = cache_splits(cache, parts, recipes, cache_epochs)
    there = torch.device(device)
    then = replace(normalize or Normalize(), pinned=pinned and there.type == "cpu")

    def loader(part: str) -> Loader:
        training = part == "train"
        source = parts[part]
        chosen = sampler if training else None
        order = Order(
            len(source if chosen is None else chosen),
            batch_size,
            shuffle=training,
            seed=seed,
            drop_last=drop_last and training,
            rank=place,
            world_size=world,
            uneven=uneven if training else "keep",
            sampler=None if chosen is None else SeededSampler.wrap(chosen, len(source), seed),
        )
        if order.samples and not len(order):
            raise ValueError(
                f"batch_size: {batch_size}, and {order.samples} images over {world} ranks do not fill one; "
                "lower it, or leave out drop_last"
            )
        fed_by: Engine
        if engine == "device":
            fed_by = DeviceDecodeEngine(source, recipes[part], there, how)
        else:
            fed_by = _engine(engine, source, recipes[part], how)
        if there.type != "cpu":
            fed_by = DevicePrefetcher(fed_by, plain.batch_layout, there)
        return Loader(source, order, recipes[part], fed_by, then, targets, persistent_workers)

    train = parts["train"]
    info = {
        "samples": {part: len(parts[part]) for part in SPLITS},
        "class_weights": class_weights(train).tolist() if found is None else None,
        "num_workers": workers,
        "engine": engine if workers else "inline",
        "decoder": decoder,
        "seed": seed,
    }
    class_names = tuple(train.class_names if found is None else found.class_names)
    return Loaders(loader("train"), loader("val"), loader("test"), class_names, info)


_engine = make_engine  # the name that users know is taken by make_loaders' argument


def default_num_workers() -> int:
    """One worker a core that this process may use, at most 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)


def _open_splits(
    data_dir: str | Path | Mapping[str, ImageSource], found: Annotations | None, val: float, test: float
) -> dict[str, ImageSource]:
    if isinstance(data_dir, Mapping):
        return dict(data_dir)
    if found is not None:
        return split_source(found.as_source(data_dir), val, test)
    return read_splits(data_dir, val, test)


def _training_config(plain: ImageConfig, mode: str | AugmentationMode | None, crop: Crop) -> ImageConfig:
    if mode == "none":
        return replace(plain, refill=True)
    return replace(plain, crop=crop, mode=_mirror_mode() if mode is None else mode, refill=True)


def _mirror_mode() -> AugmentationMode:
    from perfsuite.transforms.augment.operations.mirror import Mirror

    return AugmentationMode(MIRROR_ONLY, (Mirror(),))


def _resolve_rank(rank: int | None, world: int | None) -> tuple[int, int]:
    """As given, or as torch.distributed has it, or alone."""
    if rank is not None and world is not None:
        return rank, world
    if (rank is None) != (world is None):
        raise ValueError(f"make_loaders: rank {rank} and world_size {world}, expected both or neither")
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
