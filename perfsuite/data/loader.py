"""`Loader`: batches of an epoch, filled by an engine and normalized once per batch, with their labels."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch

from perfsuite.data.batch import Batch, BatchTask
from perfsuite.data.engines.base import Engine
from perfsuite.data.engines.inline import InlineEngine
from perfsuite.data.faults import FaultLog
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.order import Order
from perfsuite.data.sources.base import ImageSource
from perfsuite.data.sources.maps import MapCounts
from perfsuite.data.targets import TargetBuilder
from perfsuite.errors import DataError
from perfsuite.stages import stage
from perfsuite.transforms import normalize
from perfsuite.transforms.normalization.channel_stats import IMAGENET

# Images and their labels: class indices, a list of targets, or label maps.
LabeledBatch = tuple[torch.Tensor, Any]


@dataclass(frozen=True, slots=True)
class Normalize:
    """Normalizes a batch of bytes. With `dtype` torch.uint8 it only copies them, to be normalized later.

    Floats pass as they are: a cache has normalized them.
    """

    mean: tuple[float, ...] = IMAGENET.mean
    std: tuple[float, ...] = IMAGENET.std
    dtype: torch.dtype = torch.float32
    memory_format: torch.memory_format = torch.channels_last
    pin_memory: bool = False

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Convert NHWC bytes to NCHW, in new memory: the engine writes the bytes' memory again."""
        images = images.permute(0, 3, 1, 2)
        if images.is_floating_point():  # normalized by a cache, which has copied them already
            images = images.contiguous(memory_format=self.memory_format)
            return images.pin_memory() if self.pin_memory else images
        out = self._pinned_empty(images.shape) if self.pin_memory and not images.is_cuda else None
        if self.dtype == torch.uint8:
            return images.clone(memory_format=self.memory_format) if out is None else out.copy_(images)
        return normalize(
            images,
            mean=self.mean,
            std=self.std,
            dtype=self.dtype,
            memory_format=self.memory_format,
            out=out,
        )

    def _pinned_empty(self, shape: torch.Size) -> torch.Tensor:
        return torch.empty(shape, dtype=self.dtype, memory_format=self.memory_format, pin_memory=True)


class Loader:
    """Iterates over batches of (images, labels). Each new iteration is the next epoch.

    With annotations, labels are a list of targets (perfsuite.data.targets); with maps alone, the maps.

    The batches are a pure function of seed and epoch, with any engine and any number of workers. `faults`
    counts and names the images that could not be read. `map_counts` counts the stored and the drawn maps.
    """

    def __init__(
        self,
        source: ImageSource,
        order: Order,
        image_config: ImageConfig,
        engine: Engine,
        normalize: Normalize,
        targets: TargetBuilder | None = None,
        persistent_workers: bool = True,
        num_workers: int = 0,
    ) -> None:
        self.source, self.order, self.image_config = source, order, image_config
        self.faults = FaultLog()
        self.map_counts = MapCounts()
        self._engine, self._normalize, self._targets = engine, normalize, targets
        self._persistent_workers = persistent_workers
        self.num_workers = num_workers  # that fill batches; 0: the caller's thread does
        self._epoch, self._batches_given, self._resume_at = 0, 0, 0
        self._running = False
        self._iteration = 0  # only the newest iteration changes the epoch's position

    @property
    def batch_size(self) -> int:
        return self.order.batch_size

    @property
    def dataset(self) -> ImageSource:
        """The images, under the name that torch's DataLoader has for them."""
        return self.source

    @property
    def normalization(self) -> Normalize:
        """How each batch is normalized."""
        return self._normalize

    @property
    def samples(self) -> int:
        """Images per epoch of this rank."""
        return len(self.order.rows(0))

    @property
    def engine(self) -> str:
        """The engine's name; `auto` until the first batch is requested."""
        return self._engine.name

    def __len__(self) -> int:
        return len(self.order)

    def __repr__(self) -> str:
        return (
            f"Loader({self.samples} images, {len(self)} batches of {self.batch_size},"
            f" num_workers={self.num_workers}, engine={self.engine!r})"
        )

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration this epoch."""
        if epoch < 0:
            raise ValueError(f"set_epoch: {epoch}, expected 0 or more")
        self._epoch, self._resume_at, self._running = epoch, 0, False
        self._iteration += 1

    def __iter__(self) -> Iterator[LabeledBatch]:
        if self._running:  # the iteration before was left early, or is not finished: start the next epoch
            self._epoch += 1
        epoch, first = self._epoch, self._resume_at
        self._batches_given, self._resume_at, self._running = first, 0, True
        self._iteration += 1
        tasks = [BatchTask(epoch, rows) for rows in self.order.batches(epoch)[first:]]
        return self._batches(tasks, self._iteration)

    def _batches(self, tasks: Sequence[BatchTask], iteration: int) -> Generator[LabeledBatch]:
        owner = os.getpid()
        try:
            with closing(self._engine.run(tasks)) as batches:  # type: ignore[type-var]
                while True:
                    with stage("load"):
                        batch = next(batches, None)
                    if batch is None:
                        break
                    self.faults.add(batch.faults)
                    if batch.map_origins is not None:
                        self.map_counts.add(batch.map_origins.numpy())
                    with stage("normalize"):
                        images = self._normalize(batch.images)
                    labels = self._labels(batch)
                    if iteration == self._iteration:
                        self._batches_given += 1
                    yield images, labels
                    if os.getpid() != owner:
                        raise DataError(
                            f"loader: this iteration began in process {owner}, expected to go on there; "
                            "start a new iteration in a forked child"
                        )
        finally:
            if not self._persistent_workers and iteration == self._iteration:
                self.close()
        if iteration == self._iteration:
            self._epoch, self._batches_given, self._running = self._epoch + 1, 0, False

    def _labels(self, batch: Batch) -> Any:
        if self._targets is not None:
            with stage("targets"):
                return self._targets.build(batch, self.source)
        labels = batch.labels.clone() if batch.maps is None else batch.maps.clone()
        return labels.pin_memory() if self._normalize.pin_memory and not labels.is_cuda else labels

    def state_dict(self) -> dict[str, int]:
        """The position in the epoch. After `load_state_dict` the batches given so far are not repeated."""
        order = self.order
        return {
            "version": 1,
            "epoch": self._epoch,
            "batches_given": self._batches_given if self._running else self._resume_at,
            "seed": order.seed,
            "samples": order.samples,
            "batch_size": order.batch_size,
            "world": order.world_size,
        }

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue where another loader of the same data, seed and batch size stopped."""
        own = self.state_dict()
        for key in ("version", "seed", "samples", "batch_size", "world"):
            if state.get(key) != own[key]:
                raise DataError(
                    f"loader: the state was saved with {key} {state.get(key)}, this loader has {own[key]}; "
                    "resume with the same data and settings, or start the epoch anew with set_epoch"
                )
        epoch, given = state.get("epoch"), state.get("batches_given")
        if type(epoch) is not int or type(given) is not int or epoch < 0 or not 0 <= given <= len(self):
            raise DataError(
                f"loader: the state has epoch {epoch!r} and {given!r} batches given, expected whole numbers, "
                f"and at most the {len(self)} batches of an epoch; start the epoch anew with set_epoch"
            )
        self._epoch, self._resume_at = epoch, given
        self._running = False
        self._iteration += 1

    def without_workers(self) -> Loader:
        """A loader of the same batches that uses only the caller's thread, for measurements.

        Its faults are counted in this loader's log.
        """
        inline = InlineEngine(self.source, self.image_config)
        loader = Loader(self.source, self.order, self.image_config, inline, self._normalize, self._targets)
        loader.faults = self.faults
        return loader

    def close(self) -> None:
        """Stop the workers; the next iteration starts new ones."""
        self._engine.close()
