"""The progress of a training: a bar on a terminal, and one line per epoch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfsuite.training.run.progress import EpochResult


@dataclass
class TrainingProgressBar:
    """A trainer callback: a progress bar where stderr is a terminal, and a line for each epoch everywhere.

    The clock is read here, because training itself reads none.
    """

    quiet: bool = False

    def __post_init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            disable=self.quiet or not console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("training", total=None, rate="")
        self._begin: float | None = None
        self._images = 0
        self._loss = ""

    def __enter__(self) -> None:
        self._progress.start()
        self._begin = perf_counter()

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def on_synthesis(self, done: int, total: int) -> None:
        """Report that synthetic images were made; they are cached, so this happens once."""
        if done == total and not self.quiet:
            print(f"made {total} images; they are cached for later runs", file=sys.stderr)

    def on_step(self, step: int, steps: int, images: int) -> None:
        self._images += images
        rate = f"{self._images / self._seconds():.0f} img/s {self._loss}"
        self._progress.update(self._task, completed=step, total=steps, rate=rate)

    def on_losses(self, step: int, losses: Sequence[float]) -> None:
        self._loss = f"loss {losses[-1]:.3f}"

    def on_epoch(self, result: EpochResult) -> None:
        seconds = self._seconds()
        if not self.quiet:
            validated = ""
            if result.val_accuracy is not None:
                validated = f", validation {result.val_loss:.3f} (accuracy {result.val_accuracy:.1%})"
            skipped = f", {result.steps_skipped} steps skipped" if result.steps_skipped else ""
            self._progress.console.print(
                f"epoch {result.epoch + 1}: loss {result.train_loss:.3f}{validated}{skipped}; "
                f"{result.images} images in {seconds:.1f} s with validation",
                highlight=False,
                soft_wrap=True,
            )
        self._begin, self._images = perf_counter(), 0

    def _seconds(self) -> float:
        return max(perf_counter() - (self._begin or perf_counter()), 1e-9)
