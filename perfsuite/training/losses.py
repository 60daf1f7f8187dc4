"""Losses, noted on the device and read together: one wait for many steps, and a bad one is still named."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from perfsuite.errors import PerfsuiteError


class BadLossError(PerfsuiteError):
    """A loss that is no number: from here on nothing would be learnt."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class _Noted:
    epoch: int
    batch: int
    images: int
    loss: Tensor


@dataclass
class LossBook:
    """The losses of an epoch, waited for only when `read` is called.

    >>> book = LossBook()
    >>> book.note(torch.tensor(2.0), epoch=0, batch=0, images=1)
    >>> book.note(torch.tensor(1.0), epoch=0, batch=1, images=3)
    >>> book.read()
    [2.0, 1.0]
    >>> book.mean
    1.25
    """

    may_skip: bool = False  # bad ones are skipped by the step, and then count for nothing here
    total: float = 0.0
    images: int = 0
    _unread: list[_Noted] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._unread)

    @property
    def mean(self) -> float:
        return self.total / self.images if self.images else math.nan

    def note(self, loss: Tensor, *, epoch: int, batch: int, images: int) -> None:
        self._unread.append(_Noted(epoch, batch, images, loss))

    def read(self) -> list[float]:
        """The losses noted since the last reading; the first that is no number stops the training."""
        unread, self._unread = self._unread, []
        if not unread:
            return []
        values: list[float] = torch.stack([noted.loss for noted in unread]).tolist()
        for noted, value in zip(unread, values, strict=True):
            if math.isfinite(value):
                self.total += value * noted.images
                self.images += noted.images
            elif not self.may_skip:
                raise BadLossError(
                    f"train: the loss is {value} in epoch {noted.epoch + 1}, batch {noted.batch + 1}, "
                    "expected a number; lower the learning rate, look at that batch, or skip such batches "
                    "(--on-bad-loss skip)"
                )
        return values
