"""Batches of an epoch: filled by an engine, normalized once, with their labels."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch

from perfsuite.data.batch import Batch, BatchTask
from perfsuite.data.engines.base import Engine, InlineEngine
from perfsuite.data.faults import FaultLog
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.order import Order
from perfsuite.data.sources.files import ImageSource
from perfsuite.data.targets import TargetBuilder
from perfsuite.errors import DataError
from perfsuite.stages import stage
from perfsuite.transforms import normalize
from perfsuite.transforms.normalization.channel_stats import IMAGENET

# Images and what they are labeled with: numbers of classes, a list of targets, or maps.
LabeledBatch = tuple[torch.Tensor, Any]


@dataclass(frozen=True, slots=True)
class Normalize:
    """What becomes of a batch of bytes; `dtype` torch.uint8 leaves them as they are, for the device to do."""

    mean: tuple[float, ...] = IMAGENET.mean
    std: tuple[float, ...] = IMAGENET.std
    dtype: torch.dtype = torch.float32
    memory_format: torch.memory_format = torch.channels_last
    pinned: bool = False  # in memory that a GPU copies from by itself: to(device, non_blocking=True)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """NHWC bytes to NCHW numbers; always new memory, because the bytes' slot is filled again."""
        seen = images.permute(0, 3, 1, 2)
        out = self._pinned(seen.shape) if self.pinned and not images.is_cuda else None
        if self.dtype == torch.uint8:
            return seen.clone(memory_format=self.memory_format) if out is None else out.copy_(seen)
        return normalize(
            seen,
            mean=self.mean,
            std=self.std,
            dtype=self.dtype,
            memory_format=self.memory_format,
            out=out,
        )

    def _pinned(self, shape: torch.Size) -> torch.Tensor:
        return torch.empty(shape, dtype=self.dtype, memory_format=self.memory_format, pin_memory=True)


class Loader:
    """Batches of (images, labels), an epoch long. Each new iteration is the next epoch.

    With annotations the labels are a list of targets (perfsuite.data.targets), with maps alone the maps.

    What comes is a pure function of the seed and the epoch, whichever engine and however many workers.
    `faults` counts and names what could not be read.
    """

    def __init__(
        self,
        source: ImageSource,
        order: Order,
        recipe: ImageConfig,
        fed_by: Engine,
        then: Normalize,
        targets: TargetBuilder | None = None,
        lives_on: bool = True,
    ) -> None:
        self.source, self.order, self.recipe = source, order, recipe
        self.faults = FaultLog()
        self._engine, self._normalize, self._targets = fed_by, then, targets
        self._persistent_workers = lives_on  # its workers, from one epoch to the next
        self._epoch, self._batches_given, self._resume_at = 0, 0, 0
        self._running = False
        self._iteration = 0  # which iteration it is that says how far the epoch is

    @property
    def batch_size(self) -> int:
        return self.order.batch_size

    @property
    def samples(self) -> int:
        """Images of one epoch, of this rank."""
        return len(self.order.rows(0))

    @property
    def engine(self) -> str:
        """What fills the batches; `auto` until the first batch is asked for."""
        return self._engine.name

    def __len__(self) -> int:
        return len(self.order)

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is this epoch."""
        if epoch < 0:
            raise ValueError(f"set_epoch: {epoch}, expected 0 or more")
        self._epoch, self._resume_at, self._running = epoch, 0, False
        self._iteration += 1

    def __iter__(self) -> Iterator[LabeledBatch]:
        if self._running:  # the one before was left early, or is still held by somebody: a new epoch begins
            self._epoch += 1
        epoch, first = self._epoch, self._resume_at
        self._batches_given, self._resume_at, self._running = first, 0, True
        self._iteration += 1
        tasks = [BatchTask(epoch, rows) for rows in self.order.batches(epoch)[first:]]
        return self._batches(tasks, self._iteration)

    def _batches(self, tasks: Sequence[BatchTask], turn: int) -> Generator[LabeledBatch]:
        try:
            with closing(self._engine.run(tasks)) as batches:  # type: ignore[type-var]
                while True:
                    with stage("load"):
                        batch = next(batches, None)
                    if batch is None:
                        break
                    self.faults.add(batch.faults)
                    with stage("normalize"):
                        images = self._normalize(batch.images)
                    labels = self._labels(batch)
                    if turn == self._iteration:
                        self._batches_given += 1
                    yield images, labels
        finally:
            if not self._persistent_workers and turn == self._iteration:
                self.close()
        if turn == self._iteration:
            self._epoch, self._batches_given, self._running = self._epoch + 1, 0, False

    def _labels(self, batch: Batch) -> Any:
        if self._targets is not None:
            with stage("targets"):
                return self._targets.build(batch, self.source)
        labels = batch.labels.clone() if batch.maps is None else batch.maps.clone()
        return labels.pin_memory() if self._normalize.pinned and not labels.is_cuda else labels

    def state_dict(self) -> dict[str, int]:
        """Where the epoch stands: the batches given so far are not given again after `load_state_dict`."""
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
        self._iteration += 1

    def without_workers(self) -> Loader:
        """The same batches without workers: what one thread makes of them is what can be measured."""
        inline = InlineEngine(self.source, self.recipe)
        return Loader(self.source, self.order, self.recipe, inline, self._normalize, self._targets)

    def close(self) -> None:
        """End workers; the next iteration starts new ones."""
        self._engine.close()
