"""The progress of a run: the result of each epoch, and the callbacks that receive it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """The results of an epoch; those of validation are None without validation images."""

    epoch: int
    images: int
    train_loss: float
    learning_rate: float
    val_loss: float | None = None
    val_accuracy: float | None = None
    steps_skipped: int = 0


class TrainerCallback(Protocol):
    """Receives a run's progress, for example to log it or to draw a progress bar."""

    def on_step(self, step: int, steps: int, images: int) -> None: ...

    def on_losses(self, step: int, losses: Sequence[float]) -> None: ...

    def on_epoch(self, result: EpochResult) -> None: ...
