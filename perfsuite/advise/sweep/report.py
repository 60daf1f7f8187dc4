"""The results of a sweep: the turns of each loader setting, and which setting they favor.

Numbers are by blocks of turns: those of two settings at one index were measured side by side.

>>> from perfsuite.advise.sweep.loader_setting import LoaderSetting
>>> slow = SettingResult(LoaderSetting(0), (0.0040,) * 8)
>>> two = SettingResult(LoaderSetting(2), (0.0020,) * 8)
>>> four = SettingResult(LoaderSetting(4), (0.00199,) * 8)
>>> report = SweepReport(32, (slow, two, four))
>>> choice = report.choice()
>>> choice.result.setting.num_workers, choice.is_clear, report.fastest.setting.num_workers
(2, True, 4)
>>> report.speedup(choice.result).value
2.0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from perfsuite.advise.confidence import LEVEL
from perfsuite.advise.machine import MachineFacts
from perfsuite.advise.run_time import epoch_seconds, training_seconds_per_image
from perfsuite.advise.sweep.setting_result import Numbers, SettingResult
from perfsuite.judge.metrics import MetricEstimate, estimate_ratio

TIME_WAS_OVER = "the time was over before its first turn"  # why a setting was not measured
EQUIVALENCE_MARGIN = 0.03  # settings within this fraction of each other count as equally fast


class RelativeSpeed(StrEnum):
    """The speed of a setting, compared with the fastest."""

    AS_FAST = "as fast"
    SLOWER = "slower"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class SettingChoice:
    """The knee: the cheapest setting that is not shown to be slower than the fastest."""

    result: SettingResult
    undecided: tuple[SettingResult, ...]  # others that may be the knee, because intervals overlap

    @property
    def is_clear(self) -> bool:
        return not self.undecided


@dataclass(frozen=True, slots=True)
class SweepReport:
    """All settings of one run."""

    batch_size: int
    results: tuple[SettingResult, ...]
    augmentation_mode: str | None = None
    is_reproducible: bool | None = None  # whether all settings gave the same batches, bit for bit
    mean: float | None = None  # of the normalized images
    std: float | None = None
    is_complete: bool = True  # False where the run was interrupted
    images_per_epoch: int | None = None  # None where the loader has no length
    epochs: int = 1  # of the run whose time is estimated
    machine: MachineFacts | None = None
    step_seconds_per_image: Numbers = ()  # of a training step in the same blocks; empty without a model
    device_peak_bytes: int | None = None  # that the training step allocates; None where it runs on the CPU
    failures: Mapping[str, str] = field(default_factory=dict)  # reasons of settings that could not load
    other_sides: Mapping[str, Numbers] = field(default_factory=dict)  # further sides in the same blocks

    @property
    def blocks(self) -> int:
        return max(len(result.seconds_per_image) for result in self.results)

    @property
    def fastest(self) -> SettingResult:
        """The setting with the best paired speed-up: a noisy maximum, so `choice` does not just take it."""
        running = [result for result in self.results if not result.is_stopped] or [*self.results]
        anchor = min(running, key=lambda result: result.setting.cost)  # it has a turn in every block
        return min(running, key=lambda result: self.slowdown(result, anchor).value)

    @property
    def reference(self) -> SettingResult:
        """The setting that speed-ups are relative to: no workers, or the fewest in the run."""
        return min(self.results, key=lambda result: result.setting.cost)

    def batch_size_of(self, result: SettingResult) -> int:
        return result.setting.batch_size or self.batch_size

    def speedup(self, result: SettingResult) -> MetricEstimate:
        return estimate_ratio(_ratios(self.reference, result), LEVEL)

    def slowdown(self, result: SettingResult, other: SettingResult | None = None) -> MetricEstimate:
        """Time over that of another setting, of the fastest by default, block by block."""
        return estimate_ratio(_ratios(result, other or self.fastest), LEVEL)

    def relative_speed(self, result: SettingResult) -> RelativeSpeed:
        """Compare with every setting that may be the fastest, by paired ratios and their intervals."""
        if self._is_slower(result):
            return RelativeSpeed.SLOWER
        rivals = [other for other in self.results if other is not result and not self._is_slower(other)]
        most = max((self.slowdown(result, rival).interval.high for rival in rivals), default=1.0)
        return RelativeSpeed.AS_FAST if most <= 1 + EQUIVALENCE_MARGIN else RelativeSpeed.UNCLEAR

    def choice(self) -> SettingChoice:
        by_cost = sorted(self.results, key=self._cost)
        # Medians of ratios need not be transitive: three settings may each be slower than another.
        possible = [result for result in by_cost if not self._is_slower(result)] or by_cost
        speeds = [self.relative_speed(result) for result in possible]
        certain = speeds.index(RelativeSpeed.AS_FAST) if RelativeSpeed.AS_FAST in speeds else len(possible)
        return SettingChoice(possible[0], tuple(possible[1 : certain + 1]))

    def loading_over_step(self, result: SettingResult) -> MetricEstimate | None:
        """The loading rate over the training rate; above 1 the loader is not the bottleneck."""
        if not self.step_seconds_per_image:
            return None
        pairs = zip(self.step_seconds_per_image, result.seconds_per_image, strict=False)
        return estimate_ratio([step / load for step, load in pairs], LEVEL)

    def loading_epoch(self, result: SettingResult) -> MetricEstimate | None:
        """The time to load one epoch; None where its length is unknown."""
        if self.images_per_epoch is None:
            return None
        return epoch_seconds(result.seconds_per_image, self.images_per_epoch, LEVEL)

    def training_epoch(self, result: SettingResult) -> MetricEstimate | None:
        """The time of one epoch of loading and training; None without a model."""
        if self.images_per_epoch is None or not self.step_seconds_per_image:
            return None
        seconds = training_seconds_per_image(
            result.seconds_per_image, self.step_seconds_per_image, has_workers=result.setting.num_workers > 0
        )
        return epoch_seconds(seconds, self.images_per_epoch, LEVEL)

    def _is_slower(self, result: SettingResult) -> bool:
        """Whether another setting is faster for certain, by more than the margin."""
        return result.is_stopped or any(
            self.slowdown(result, other).interval.low > 1 + EQUIVALENCE_MARGIN
            for other in self.results
            if other is not result
        )

    def _cost(self, result: SettingResult) -> tuple[tuple[int, int, int], float]:
        """The setting's cost; of equal ones the faster first."""
        return result.setting.cost, -self.speedup(result).value


def _ratios(numerator: SettingResult, denominator: SettingResult) -> list[float]:
    """Block by block; a setting that was stopped has only the first blocks."""
    pairs = zip(numerator.seconds_per_image, denominator.seconds_per_image, strict=False)
    return [upper / lower for upper, lower in pairs]
