"""The results of a sweep: the turns of each loader setting, and which setting they favor.

Numbers are by blocks of turns: those of two settings at one index were measured side by side.

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

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median, stdev

from perfsuite.judge.metrics import MetricEstimate, estimate_ratio
from perfsuite.judge.order_statistics import median_interval, quantile
from perfsuite.judge.verdict import Interval

LEVEL = 0.99  # of one interval, so that those of five settings hold together with 95 %
MIN_BLOCKS = 8  # the fewest whose median has an interval at that level
EQUIVALENCE_MARGIN = 0.03  # settings within this fraction of each other count as equally fast

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True, order=True)
class LoaderSetting:
    """Options of `make_loaders`, ordered by what they cost."""

    num_workers: int
    prefetch_factor: int = 2
    engine: str = "auto"

    def __str__(self) -> str:
        if not self.num_workers:
            return "num_workers=0"
        return (
            f"num_workers={self.num_workers}, engine={self.engine!r}, prefetch_factor={self.prefetch_factor}"
        )

    @property
    def label(self) -> str:
        """A short name; `2 threads +4` loads four batches ahead."""
        ahead = f" +{self.prefetch_factor}" if self.num_workers else ""
        return f"{self.num_workers} {self.engine}{ahead}"


@dataclass(frozen=True, slots=True)
class HostMemory:
    """Memory of the host in bytes."""

    batch_bytes: int  # of a batch as the loader returns it
    prefetch_bytes: int  # of the batches that are loaded ahead
    peak_growth_bytes: int  # of the process tree, from before its workers start to the end of a turn


@dataclass(frozen=True, slots=True)
class CoreUse:
    """CPU time over wall-clock time during a turn; 1.5 is one and a half cores."""

    main_thread: float  # the thread that takes the batches
    workers: float  # the other threads of its process, and worker processes


@dataclass(frozen=True, slots=True)
class BatchWaitTimes:
    """How long the caller waits for a batch, in seconds."""

    minimum: float
    mean: float
    maximum: float
    std: float
    p50: float
    p90: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> BatchWaitTimes:
        return cls(
            minimum=min(seconds),
            mean=fmean(seconds),
            maximum=max(seconds),
            std=stdev(seconds) if len(seconds) > 1 else 0.0,
            p50=quantile(seconds, 0.5),
            p90=quantile(seconds, 0.9),
            p95=quantile(seconds, 0.95),
            p99=quantile(seconds, 0.99),
        )


@dataclass(frozen=True, slots=True)
class SettingResult:
    """What was measured of one setting."""

    setting: LoaderSetting
    seconds_per_image: Numbers
    plain_seconds_per_image: Numbers = ()  # without augmentation; empty where there is none
    batch_seconds: Numbers = ()  # without the first batch of each turn, which waits for the pipeline to fill
    first_batch_seconds: Numbers = ()
    core_use: CoreUse | None = None
    memory: HostMemory | None = None

    @property
    def images_per_second(self) -> MetricEstimate:
        seconds = median_interval(self.seconds_per_image, LEVEL)
        low = 1 / seconds.high if math.isfinite(seconds.high) else -math.inf
        high = 1 / seconds.low if seconds.low > 0 else math.inf
        return MetricEstimate(1 / median(self.seconds_per_image), Interval(low, high, LEVEL))

    @property
    def overhead(self) -> MetricEstimate | None:
        """The cost of augmentation: time with it over time without, minus one."""
        if not self.plain_seconds_per_image:
            return None
        pairs = zip(self.seconds_per_image, self.plain_seconds_per_image, strict=True)
        return estimate_ratio([augmented / plain for augmented, plain in pairs], LEVEL, less=1.0)


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

    @property
    def blocks(self) -> int:
        return len(self.results[0].seconds_per_image)

    @property
    def fastest(self) -> SettingResult:
        """The setting with the best median. That is a noisy maximum, so `choice` does not just take it."""
        return max(self.results, key=lambda result: result.images_per_second.value)

    @property
    def reference(self) -> SettingResult:
        """The setting that speed-ups are relative to: no workers, or the fewest in the run."""
        return min(self.results, key=lambda result: result.setting)

    def speedup(self, result: SettingResult) -> MetricEstimate:
        return estimate_ratio(_ratios(self.reference, result), LEVEL)

    def slowdown(self, result: SettingResult) -> MetricEstimate:
        """Time over that of the fastest setting."""
        return estimate_ratio(_ratios(result, self.fastest), LEVEL)

    def relative_speed(self, result: SettingResult) -> RelativeSpeed:
        if result is self.fastest:
            return RelativeSpeed.AS_FAST
        slowdown = self.slowdown(result).interval
        if slowdown.low > 1 + EQUIVALENCE_MARGIN:
            return RelativeSpeed.SLOWER
        return RelativeSpeed.AS_FAST if slowdown.high <= 1 + EQUIVALENCE_MARGIN else RelativeSpeed.UNCLEAR

    def choice(self) -> SettingChoice:
        possible = [
            result
            for result in sorted(self.results, key=_cost)
            if self.relative_speed(result) is not RelativeSpeed.SLOWER
        ]
        certain = next(
            index
            for index, result in enumerate(possible)
            if self.relative_speed(result) is RelativeSpeed.AS_FAST
        )
        return SettingChoice(possible[0], tuple(possible[1 : certain + 1]))


def _cost(result: SettingResult) -> tuple[int, int, float]:
    """Fewer workers first, then fewer batches ahead; of equal ones the faster."""
    setting = result.setting
    return setting.num_workers, setting.prefetch_factor, -result.images_per_second.value


def _ratios(numerator: SettingResult, denominator: SettingResult) -> list[float]:
    pairs = zip(numerator.seconds_per_image, denominator.seconds_per_image, strict=True)
    return [upper / lower for upper, lower in pairs]
