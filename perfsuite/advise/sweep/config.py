"""What a sweep loads, in which settings, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfsuite.advise.sweep.report import PLAIN_MODE, LoaderSetting
from perfsuite.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfig:
    """The first augmentation mode decides the choice; the others are measured beside it."""

    num_workers: tuple[int, ...] = (0, 1, 2, 4, 8)
    engines: tuple[str, ...] = ("auto",)
    prefetch_factors: tuple[int, ...] = (2,)
    augmentation_modes: tuple[str, ...] = ("moderate",)
    batch_size: int = 32
    seconds: float = 90.0  # of the whole sweep
    min_blocks: int = 1  # taken even where the time is over
    epochs: int = 50  # of the run whose time is estimated
    loader_options: Mapping[str, Any] = field(default_factory=dict)  # further options of make_loaders

    def __post_init__(self) -> None:
        if not self.num_workers or min(self.num_workers) < 0:
            raise UsageError(f"sweep: num_workers {list(self.num_workers)}, expected numbers of 0 or more")
        if not self.augmentation_modes:
            raise UsageError("sweep: no augmentation mode, expected one or more; none is one too")
        if not self.seconds > 0:
            raise UsageError(f"sweep: {self.seconds:g} seconds, expected more than 0")

    def settings(self, engines: tuple[str, ...]) -> tuple[LoaderSetting, ...]:
        """All combinations, each once; without workers, engine and prefetch factor do not matter."""
        combinations = (
            LoaderSetting(num_workers, prefetch_factor, engine) if num_workers else LoaderSetting(0)
            for num_workers in self.num_workers
            for prefetch_factor in self.prefetch_factors
            for engine in engines
        )
        return tuple(sorted(set(combinations)))

    @property
    def modes(self) -> tuple[str, ...]:
        """Every mode once, the deciding one first; the plain one is always among them."""
        return tuple(dict.fromkeys([*self.augmentation_modes, PLAIN_MODE]))
