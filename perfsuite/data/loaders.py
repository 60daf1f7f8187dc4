"""`make_loaders`: from a folder of pictures to batches that a training step can use.

>>> from perfsuite.data import photos
>>> loaders = make_loaders(photos.cached(images=40, classes=2, size=(64, 48)), 8, 0, image_size=32)
>>> images, labels = next(iter(loaders.val))
>>> images.shape, images.dtype, loaders.class_names
(torch.Size([4, 3, 32, 32]), torch.float32, ('class_00', 'class_01'))
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from perfsuite.data.faults import FaultLog, Policy
from perfsuite.data.feed import Engine, Task, engine
from perfsuite.data.order import Order, Uneven
from perfsuite.data.pictures import Crop, Recipe
from perfsuite.data.sets import PARTS, Source, class_weights, read_parts
from perfsuite.errors import DataError
from perfsuite.stages import stage
from perfsuite.transforms import Mode, normalize

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# A training crop and mirroring are what everybody does; a mode is what comes on top.
MIRROR_ONLY = "mirror"

Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Normalise:
    """What becomes of a batch of bytes; `dtype` torch.uint8 leaves them as they are, for the device to do."""

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    dtype: torch.dtype = torch.float32
    memory_format: torch.memory_format = torch.channels_last

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """NHWC bytes to NCHW numbers; always new memory, because the bytes' slot is filled again."""
        seen = images.permute(0, 3, 1, 2)
        if self.dtype == torch.uint8:
            return seen.clone(memory_format=self.memory_format)
        return normalize(
            seen, mean=self.mean, std=self.std, dtype=self.dtype, memory_format=self.memory_format
        )


class Loader:
    """Batches of (images, labels), an epoch long. Each new iteration is the next epoch.

    What comes is a pure function of the seed and the epoch, whichever engine and however many workers.
    `faults` counts and names what could not be read.
    """

    def __init__(self, source: Source, order: Order, recipe: Recipe, fed_by: Engine, then: Normalise) -> None:
        self.source, self.order, self.recipe = source, order, recipe
        self.faults = FaultLog()
        self._engine, self._normalise = fed_by, then
        self._epoch, self._given, self._resume_at = 0, 0, 0
        self._running = False

    @property
    def batch_size(self) -> int:
        return self.order.batch_size

    @property
    def samples(self) -> int:
        """Pictures of one epoch, of this rank."""
        return len(self.order.rows(0))

    def __len__(self) -> int:
        return len(self.order)

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is this epoch."""
        if epoch < 0:
            raise ValueError(f"set_epoch: {epoch}, expected 0 or more")
        self._epoch, self._resume_at, self._running = epoch, 0, False

    def __iter__(self) -> Iterator[Pair]:
        if self._running:  # the one before was left early, or is still held by somebody: a new epoch begins
            self._epoch += 1
        epoch, first = self._epoch, self._resume_at
        self._given, self._resume_at, self._running = first, 0, True
        tasks = [Task(epoch, rows) for rows in self.order.batches(epoch)[first:]]
        return self._batches(tasks)

    def _batches(self, tasks: Sequence[Task]) -> Iterator[Pair]:
        batches = self._engine.run(tasks)
        while True:
            with stage("load"):
                batch = next(batches, None)
            if batch is None:
                break
            self.faults.add(batch.faults)
            with stage("normalise"):
                images = self._normalise(batch.images)
            self._given += 1
            yield images, batch.labels.clone()
        self._epoch, self._given, self._running = self._epoch + 1, 0, False

    def state_dict(self) -> dict[str, int]:
        """Where the epoch stands: the batches given so far are not given again after `load_state_dict`."""
        order = self.order
        return {
            "version": 1,
            "epoch": self._epoch,
            "batches_given": self._given if self._running else self._resume_at,
            "seed": order.seed,
            "samples": order.samples,
            "batch_size": order.batch_size,
            "world": order.world,
        }

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where another loader of the same data, seed and batch size stood."""
        mine = self.state_dict()
        for key in ("version", "seed", "samples", "batch_size", "world"):
            if state.get(key) != mine[key]:
                raise DataError(
                    f"loader: the state was saved with {key} {state.get(key)}, this loader has {mine[key]}; "
                    "resume with the same data and settings, or start the epoch anew with set_epoch"
                )
        self._epoch, self._resume_at = state["epoch"], state["batches_given"]
        self._running = False

    def close(self) -> None:
        """End workers; the next iteration starts new ones."""
        self._engine.close()


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
    data_dir: str | Path | Mapping[str, Source],
    batch_size: int = 32,
    num_workers: int | None = None,
    augmentation_mode: str | Mode | None = None,
    image_size: int = 224,
    seed: int = 42,
    *,
    val_fraction: float = 0.1,
    test_fraction: float = 0.1,
    train_crop: Crop = "random",
    val_crop: Crop = "centre",
    on_error: Policy = "raise",
    engine: str = "auto",
    prefetch_factor: int = 2,
    pin_memory: bool | None = None,
    start_method: str | None = None,
    normalise: Normalise | None = None,
    drop_last: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
    uneven: Uneven = "pad",
    decoder: str = "auto",
    cores: Sequence[int] = (),
) -> Loaders:
    """Loaders for a folder of class folders (or of train, val and test), or for sources made elsewhere.

    `augmentation_mode` None crops at random and mirrors; "conservative", "moderate" and "aggressive" add
    their operations to the crop; "none" shows the centre, the same in every epoch. Validation and test are
    never augmented. `cores` binds the workers to these, one after the other.
    """
    workers = default_workers() if num_workers is None else num_workers
    if workers < 0:
        raise ValueError(f"num_workers: {workers}, expected 0 or more")
    parts = (
        dict(data_dir) if isinstance(data_dir, Mapping) else read_parts(data_dir, val_fraction, test_fraction)
    )
    place, world = _rank(rank, world_size)
    plain = Recipe(image_size, val_crop, "none", seed, on_error, refill=False, decoder=decoder)
    recipes = dict.fromkeys(PARTS, plain)
    if augmentation_mode != "none":
        mode = _mirror_only() if augmentation_mode is None else augmentation_mode
        recipes["train"] = replace(plain, crop=train_crop, mode=mode)
    recipes["train"] = replace(recipes["train"], refill=True)
    chosen = "threads" if engine == "auto" else engine
    pinned = torch.cuda.is_available() if pin_memory is None else pin_memory

    def loader(part: str) -> Loader:
        source, training = parts[part], part == "train"
        order = Order(
            len(source),
            batch_size,
            shuffle=training,
            seed=seed,
            drop_last=drop_last and training,
            rank=place,
            world=world,
            uneven=uneven if training else "keep",
        )
        fed_by = _engine(chosen, source, recipes[part], workers, prefetch_factor, pinned, start_method, cores)
        return Loader(source, order, recipes[part], fed_by, normalise or Normalise())

    train = parts["train"]
    info = {
        "samples": {part: len(parts[part]) for part in PARTS},
        "class_weights": class_weights(train).tolist(),
        "num_workers": workers,
        "engine": chosen if workers else "inline",
        "decoder": decoder,
        "seed": seed,
    }
    return Loaders(loader("train"), loader("val"), loader("test"), tuple(train.class_names), info)


_engine = engine  # the name that users know is taken by make_loaders' argument


def default_workers() -> int:
    """One worker a core that this process may use, at most 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)


def _mirror_only() -> Mode:
    from perfsuite.transforms.modes import Mirror

    return Mode(MIRROR_ONLY, (Mirror(),))


def _rank(rank: int | None, world: int | None) -> tuple[int, int]:
    """As given, or as torch.distributed has it, or alone."""
    if rank is not None and world is not None:
        return rank, world
    if (rank is None) != (world is None):
        raise ValueError(f"make_loaders: rank {rank} and world_size {world}, expected both or neither")
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
