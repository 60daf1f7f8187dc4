"""Batches of an epoch: filled by an engine, normalised once, with their labels."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch

from perfsuite.data.faults import FaultLog
from perfsuite.data.feed import Engine, Inline
from perfsuite.data.order import Order
from perfsuite.data.recipe import Recipe
from perfsuite.data.sets import Source
from perfsuite.data.slots import Batch, Task
from perfsuite.data.targets import Targets
from perfsuite.errors import DataError
from perfsuite.stages import stage
from perfsuite.transforms import normalize
from perfsuite.transforms.statistics import IMAGENET

# Pictures and what they are labelled with: numbers of classes, a list of targets, or maps.
Pair = tuple[torch.Tensor, Any]


@dataclass(frozen=True, slots=True)
class Normalise:
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
        source: Source,
        order: Order,
        recipe: Recipe,
        fed_by: Engine,
        then: Normalise,
        targets: Targets | None = None,
        lives_on: bool = True,
    ) -> None:
        self.source, self.order, self.recipe = source, order, recipe
        self.faults = FaultLog()
        self._engine, self._normalise, self._targets = fed_by, then, targets
        self._lives_on = lives_on  # its workers, from one epoch to the next
        self._epoch, self._given, self._resume_at = 0, 0, 0
        self._running = False
        self._turn = 0  # which iteration it is that says how far the epoch is

    @property
    def batch_size(self) -> int:
        return self.order.batch_size

    @property
    def samples(self) -> int:
        """Pictures of one epoch, of this rank."""
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
        self._turn += 1

    def __iter__(self) -> Iterator[Pair]:
        if self._running:  # the one before was left early, or is still held by somebody: a new epoch begins
            self._epoch += 1
        epoch, first = self._epoch, self._resume_at
        self._given, self._resume_at, self._running = first, 0, True
        self._turn += 1
        tasks = [Task(epoch, rows) for rows in self.order.batches(epoch)[first:]]
        return self._batches(tasks, self._turn)

    def _batches(self, tasks: Sequence[Task], turn: int) -> Generator[Pair]:
        try:
            with closing(self._engine.run(tasks)) as batches:  # type: ignore[type-var]
                while True:
                    with stage("load"):
                        batch = next(batches, None)
                    if batch is None:
                        break
                    self.faults.add(batch.faults)
                    with stage("normalise"):
                        images = self._normalise(batch.images)
                    labels = self._labels(batch)
                    if turn == self._turn:
                        self._given += 1
                    yield images, labels
        finally:
            if not self._lives_on and turn == self._turn:
                self.close()
        if turn == self._turn:
            self._epoch, self._given, self._running = self._epoch + 1, 0, False

    def _labels(self, batch: Batch) -> Any:
        if self._targets is not None:
            with stage("targets"):
                return self._targets.of(batch, self.source)
        labels = batch.labels.clone() if batch.maps is None else batch.maps.clone()
        return labels.pin_memory() if self._normalise.pinned and not labels.is_cuda else labels

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
        self._turn += 1

    def alone(self) -> Loader:
        """The same batches without workers: what one thread makes of them is what can be measured."""
        inline = Inline(self.source, self.recipe)
        return Loader(self.source, self.order, self.recipe, inline, self._normalise, self._targets)

    def close(self) -> None:
        """End workers; the next iteration starts new ones."""
        self._engine.close()
