"""What a sweep loads, in which settings, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.setting_result import PLAIN_MODE
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
    decoders: tuple[str, ...] = ()  # to compare; without one, the loaders' own choice
    batch_sizes: tuple[int, ...] = ()  # to compare; without one, batch_size
    only: tuple[LoaderSetting, ...] = ()  # these settings instead of all combinations
    with_plain_mode: bool = True  # measure every setting without augmentation too
    stops_early: bool = False  # end the turns of a setting that another one is faster than for certain
    hang_seconds: float = 120.0  # a turn that takes so much longer than expected hangs

    def __post_init__(self) -> None:
        if not self.num_workers or min(self.num_workers) < 0:
            raise UsageError(f"sweep: num_workers {list(self.num_workers)}, expected numbers of 0 or more")
        if not self.augmentation_modes:
            raise UsageError("sweep: no augmentation mode, expected one or more; none is one too")
        if not self.seconds > 0:
            raise UsageError(f"sweep: {self.seconds:g} seconds, expected more than 0")

    def settings(self, engines: tuple[str, ...]) -> tuple[LoaderSetting, ...]:
        """All combinations, each once; without workers, engine and prefetch factor do not matter."""
        if self.only:
            return self.only
        combinations = {
            LoaderSetting(num_workers, prefetch_factor, engine, decoder, batch_size)
            if num_workers
            else LoaderSetting(0, decoder=decoder, batch_size=batch_size)
            for num_workers in self.num_workers
            for prefetch_factor in self.prefetch_factors
            for engine in engines
            for decoder in self.decoders or (None,)
            for batch_size in self.batch_sizes or (None,)
        }
        return tuple(sorted(combinations, key=lambda each: (each.cost, each.engine, each.decoder or "")))

    @property
    def modes(self) -> tuple[str, ...]:
        """Every mode once, the deciding one first; the plain one is among them unless it is left out."""
        plain = [PLAIN_MODE] if self.with_plain_mode else []
        return tuple(dict.fromkeys([*self.augmentation_modes, *plain]))
