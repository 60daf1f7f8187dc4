"""Losses that stay on the device and are fetched together: one synchronization for many steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from perfsuite.errors import PerfsuiteError


class BadLossError(PerfsuiteError):
    """A loss, gradient or weight that is NaN or infinite, after which nothing more would be learned."""


@dataclass(frozen=True, slots=True)
class _LossEntry:
    epoch: int
    batch: int
    images: int
    loss: Tensor
    is_skipped: bool


@dataclass
class LossMeter:
    """The losses of an epoch; `fetch` is the only call that waits for the device.

    >>> meter = LossMeter()
    >>> meter.add(torch.tensor(2.0), epoch=0, batch=0, images=1)
    >>> meter.add(torch.tensor(1.0), epoch=0, batch=1, images=3)
    >>> meter.fetch()
    [2.0, 1.0]
    >>> meter.mean
    1.25
    """

    total: float = 0.0
    images: int = 0
    _pending: list[_LossEntry] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the losses that have not been fetched."""
        return len(self._pending)

    @property
    def mean(self) -> float:
        return self.total / self.images if self.images else math.nan

    def add(self, loss: Tensor, *, epoch: int, batch: int, images: int, is_skipped: bool = False) -> None:
        """Add a step's loss; one of a skipped step is fetched, but is not part of the mean."""
        self._pending.append(_LossEntry(epoch, batch, images, loss, is_skipped))

    def fetch(self) -> list[float]:
        """Return the losses added since the last fetch; raise BadLossError at a bad one of a step taken."""
        pending, self._pending = self._pending, []
        if not pending:
            return []
        values: list[float] = torch.stack([entry.loss for entry in pending]).tolist()
        for entry, value in zip(pending, values, strict=True):
            if entry.is_skipped:
                continue
            if math.isfinite(value):
                self.total += value * entry.images
                self.images += entry.images
            else:
                raise BadLossError(
                    f"train: the loss is {value} in epoch {entry.epoch + 1}, batch {entry.batch + 1}, "
                    "expected a finite number; lower the learning rate, inspect that batch, or skip such "
                    "batches (--on-nonfinite-loss skip)"
                )
        return values
