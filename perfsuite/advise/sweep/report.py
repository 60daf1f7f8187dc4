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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import fmean, median, stdev

from perfsuite.advise.confidence import LEVEL
from perfsuite.advise.machine import MachineFacts, WorkerDemand
from perfsuite.advise.run_time import epoch_seconds, training_seconds_per_image
from perfsuite.judge.metrics import (
    MetricEstimate,
    estimate_overhead,
    estimate_overhead_share,
    estimate_ratio,
)
from perfsuite.judge.order_statistics import median_interval, quantile
from perfsuite.judge.verdict import Interval

DATA_LOADER = "DataLoader"  # the engine of a user's loader
PLAIN_MODE = "none"  # without augmentation
TIME_WAS_OVER = "the time was over before its first turn"  # why a setting was not measured
EQUIVALENCE_MARGIN = 0.03  # settings within this fraction of each other count as equally fast

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LoaderSetting:
    """Options of `make_loaders`. None leaves a decoder or batch size to the sweep.

    >>> str(LoaderSetting(2, 4, "threads", batch_size=64)), LoaderSetting(0, decoder="pillow").label
    ("num_workers=2, engine='threads', prefetch_factor=4, batch_size=64", '0 auto pillow')
    """

    num_workers: int
    prefetch_factor: int = 2
    engine: str = "auto"
    decoder: str | None = None
    batch_size: int | None = None

    def __str__(self) -> str:
        parts = [f"num_workers={self.num_workers}"]
        if self.num_workers:
            parts += [] if self.engine == DATA_LOADER else [f"engine={self.engine!r}"]
            parts.append(f"prefetch_factor={self.prefetch_factor}")
        parts += [] if self.decoder is None else [f"decoder={self.decoder!r}"]
        parts += [] if self.batch_size is None else [f"batch_size={self.batch_size}"]
        return ", ".join(parts)

    @property
    def label(self) -> str:
        """A short name; `2 threads +4` loads four batches ahead, `b64` are batches of 64."""
        ahead = f" +{self.prefetch_factor}" if self.num_workers else ""
        decoder = "" if self.decoder is None else f" {self.decoder}"
        batch = "" if self.batch_size is None else f" b{self.batch_size}"
        return f"{self.num_workers} {self.engine}{ahead}{decoder}{batch}"

    @property
    def cost(self) -> tuple[int, int, int]:
        """Settings are ordered by it: fewer workers first, then fewer batches ahead, then smaller batches."""
        return self.num_workers, self.prefetch_factor, self.batch_size or 0


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

    def machine_share(self, cores: int) -> float:
        """The share of all cores.

        >>> CoreUse(main_thread=0.5, workers=1.5).machine_share(cores=8)
        0.25
        """
        return (self.main_thread + self.workers) / cores


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
    seconds_per_image: Numbers  # in the mode that decides the choice
    other_modes: Mapping[str, Numbers] = field(default_factory=dict)  # seconds per image in the same blocks
    batch_seconds: Numbers = ()  # without the first batch of each turn, which waits for the pipeline to fill
    first_batch_seconds: Numbers = ()
    core_use: CoreUse | None = None
    memory: HostMemory | None = None
    # Its turns ended early because another setting was faster for certain; its blocks are the first ones.
    is_stopped: bool = False

    @property
    def images_per_second(self) -> MetricEstimate:
        return estimate_rate(self.seconds_per_image)

    @property
    def overhead(self) -> MetricEstimate | None:
        """The cost of augmentation: time with it over time without, minus one."""
        return self.overhead_of(self.seconds_per_image)

    @property
    def overhead_share(self) -> MetricEstimate | None:
        """The same cost as a share of the time of a batch."""
        return self.overhead_share_of(self.seconds_per_image)

    def overhead_of(self, seconds_of_mode: Numbers) -> MetricEstimate | None:
        """The overhead of one of the modes; None where the plain mode was not measured."""
        ratios = self._ratios_to_plain(seconds_of_mode)
        return estimate_overhead(ratios, LEVEL) if ratios else None

    def overhead_share_of(self, seconds_of_mode: Numbers) -> MetricEstimate | None:
        ratios = self._ratios_to_plain(seconds_of_mode)
        return estimate_overhead_share(ratios, LEVEL) if ratios else None

    @property
    def demand(self) -> WorkerDemand:
        memory = self.memory or HostMemory(0, 0, 0)
        return WorkerDemand(
            num_workers=self.setting.num_workers,
            uses_processes=self.setting.engine in ("processes", DATA_LOADER),
            bytes_ahead=memory.prefetch_bytes,
            peak_growth_bytes=memory.peak_growth_bytes,
        )

    def _ratios_to_plain(self, seconds: Numbers) -> list[float]:
        plain = self.other_modes.get(PLAIN_MODE, ())
        return [augmented / bare for augmented, bare in zip(seconds, plain, strict=False)]


def estimate_rate(seconds_per_image: Numbers) -> MetricEstimate:
    """Images per second, from the seconds per image of every block."""
    seconds = median_interval(seconds_per_image, LEVEL)
    low = 1 / seconds.high if math.isfinite(seconds.high) else -math.inf
    high = 1 / seconds.low if seconds.low > 0 else math.inf
    return MetricEstimate(1 / median(seconds_per_image), Interval(low, high, LEVEL))


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
