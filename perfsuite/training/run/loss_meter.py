"""Losses, noted on the device and read together: one wait for many steps, and a bad one is still named."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from perfsuite.errors import PerfsuiteError


class BadLossError(PerfsuiteError):
    """A loss that is no number: from here on nothing would be learned."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class _LossEntry:
    epoch: int
    batch: int
    images: int
    loss: Tensor


@dataclass
class LossMeter:
    """The losses of an epoch, waited for only when `read` is called.

    >>> book = LossMeter()
    >>> book.add(torch.tensor(2.0), epoch=0, batch=0, images=1)
    >>> book.add(torch.tensor(1.0), epoch=0, batch=1, images=3)
    >>> book.fetch()
    [2.0, 1.0]
    >>> book.mean
    1.25
    """

    skip_bad_loss: bool = False  # bad ones are skipped by the step, and then count for nothing here
    total: float = 0.0
    images: int = 0
    _pending: list[_LossEntry] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def mean(self) -> float:
        return self.total / self.images if self.images else math.nan

    def add(self, loss: Tensor, *, epoch: int, batch: int, images: int) -> None:
        self._pending.append(_LossEntry(epoch, batch, images, loss))

    def fetch(self) -> list[float]:
        """The losses noted since the last reading; the first that is no number stops the training."""
        unread, self._pending = self._pending, []
        if not unread:
            return []
        values: list[float] = torch.stack([noted.loss for noted in unread]).tolist()
        for noted, value in zip(unread, values, strict=True):
            if math.isfinite(value):
                self.total += value * noted.images
                self.images += noted.images
            elif not self.skip_bad_loss:
                raise BadLossError(
                    f"train: the loss is {value} in epoch {noted.epoch + 1}, batch {noted.batch + 1}, "
                    "expected a number; lower the learning rate, look at that batch, or skip such batches "
                    "(--on-nonfinite-loss skip)"
                )
        return values
