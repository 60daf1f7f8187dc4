"""How many workers to load with: what was seen of each setting, which is the knee, and what must hold of it.

Rows of numbers are by blocks of turns: what two settings have at one place was measured side by side.

>>> slow = SettingResult(LoaderSetting(0), (0.0040,) * 8)
>>> two = SettingResult(LoaderSetting(2), (0.0020,) * 8)
>>> four = SettingResult(LoaderSetting(4), (0.00199,) * 8)
>>> sweep = SweepReport(32, (slow, two, four))
>>> choice = sweep.choice()
>>> choice.seen.setting.workers, choice.is_clear, sweep.fastest.setting.workers
(2, True, 4)
>>> sweep.speedup(choice.seen).value
2.0
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import fmean, median, stdev

from perfsuite.judge.limits import Limit, LimitType, judge_limit
from perfsuite.judge.metrics import MetricEstimate, estimate_ratio
from perfsuite.judge.order_statistics import median_interval, quantile, quantile_interval
from perfsuite.judge.verdict import Interval, Outcome, Verdict

LEVEL = 0.99  # of one interval, so that those of five settings hold together with 95 %
MIN_BLOCKS = 8  # whose median has an interval at that level
EQUIVALENCE_MARGIN = 0.03  # what gains less is as fast

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True, order=True)
class LoaderSetting:
    """What `make_loaders` is told; in the order of what it costs."""

    workers: int
    prefetch_factor: int = 2
    engine: str = "auto"

    def __str__(self) -> str:
        if not self.workers:
            return "num_workers=0"
        return f"num_workers={self.workers}, engine={self.engine!r}, prefetch_factor={self.prefetch_factor}"


@dataclass(frozen=True, slots=True)
class HostMemory:
    """Memory of the host in bytes."""

    batch_bytes: int  # of a batch as it is given
    prefetch_bytes: int  # of the batches that are filled ahead of it
    peak_growth_bytes: int  # of the process tree, from before its workers began to the end of a turn


@dataclass(frozen=True, slots=True)
class CoreUse:
    """Cores in use while a turn went on: 1.5 is one and a half of them all the time."""

    main: float  # by the thread that takes the batches
    workers: float  # by the other threads of its process, and by worker processes


@dataclass(frozen=True, slots=True)
class BatchWaitTimes:
    """How long the caller waited for a batch, in seconds."""

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
        shares = (quantile(seconds, share) for share in (0.5, 0.9, 0.95, 0.99))
        deviation = stdev(seconds) if len(seconds) > 1 else 0.0
        return cls(min(seconds), fmean(seconds), max(seconds), deviation, *shares)


@dataclass(frozen=True, slots=True)
class SettingResult:
    """What was seen of one setting."""

    setting: LoaderSetting
    seconds_per_image: Numbers
    plain_seconds_per_image: Numbers = ()  # the same without augmentation, where there is any
    batch_seconds: Numbers = ()  # without the first of each turn, which waits for the pipeline to fill
    first_batch_seconds: Numbers = ()
    core_use: CoreUse | None = None
    memory: HostMemory | None = None

    @property
    def images_per_second(self) -> MetricEstimate:
        took = median_interval(self.seconds_per_image, LEVEL)
        low = 1 / took.high if math.isfinite(took.high) else -math.inf
        high = 1 / took.low if took.low > 0 else math.inf
        return MetricEstimate(1 / median(self.seconds_per_image), Interval(low, high, LEVEL))

    @property
    def overhead(self) -> MetricEstimate | None:
        """What augmentation costs: time with it over time without, less one."""
        if not self.plain_seconds_per_image:
            return None
        pairs = zip(self.seconds_per_image, self.plain_seconds_per_image, strict=True)
        return estimate_ratio([mine / plain for mine, plain in pairs], LEVEL, less=1.0)


class RelativeSpeed(StrEnum):
    """Of a setting against the fastest."""

    AS_FAST = "as fast"
    SLOWER = "slower"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class SettingChoice:
    """The knee: the fewest workers that are not shown to be slower than the fastest setting."""

    seen: SettingResult
    undecided: tuple[SettingResult, ...]  # others that it may be, as the intervals overlap

    @property
    def is_clear(self) -> bool:
        return not self.undecided


@dataclass(frozen=True, slots=True)
class SweepReport:
    """All settings of one run."""

    batch_size: int
    seen: tuple[SettingResult, ...]
    mode: str | None = None
    is_reproducible: bool | None = None  # whether all settings gave the same batches, bit for bit
    mean: float | None = None  # of the normalized images
    std: float | None = None
    is_complete: bool = True  # nobody broke it off

    @property
    def blocks(self) -> int:
        return len(self.seen[0].seconds_per_image)

    @property
    def fastest(self) -> SettingResult:
        """By its median: the noisy maximum, which `choice` does not follow."""
        return max(self.seen, key=lambda seen: seen.images_per_second.value)

    @property
    def reference(self) -> SettingResult:
        """What gains are counted over: no workers, or the fewest that there were."""
        return min(self.seen, key=lambda seen: seen.setting)

    def speedup(self, seen: SettingResult) -> MetricEstimate:
        return estimate_ratio(_ratios(self.reference, seen), LEVEL)

    def slowdown(self, seen: SettingResult) -> MetricEstimate:
        """Time over that of the fastest, turn by turn."""
        return estimate_ratio(_ratios(seen, self.fastest), LEVEL)

    def relative_speed(self, seen: SettingResult) -> RelativeSpeed:
        if seen is self.fastest:
            return RelativeSpeed.AS_FAST
        behind = self.slowdown(seen).interval
        if behind.low > 1 + EQUIVALENCE_MARGIN:
            return RelativeSpeed.SLOWER
        return RelativeSpeed.AS_FAST if behind.high <= 1 + EQUIVALENCE_MARGIN else RelativeSpeed.UNCLEAR

    def choice(self) -> SettingChoice:
        # Of settings that cost the same, the faster one first.
        cost = {id(seen): (seen.setting.workers, seen.setting.prefetch_factor) for seen in self.seen}
        in_order = sorted(self.seen, key=lambda seen: (cost[id(seen)], -seen.images_per_second.value))
        possible = [seen for seen in in_order if self.relative_speed(seen) is not RelativeSpeed.SLOWER]
        chosen = possible[0]
        if self.relative_speed(chosen) is RelativeSpeed.AS_FAST:
            return SettingChoice(chosen, ())
        certain = next(
            at for at, seen in enumerate(possible) if self.relative_speed(seen) is RelativeSpeed.AS_FAST
        )
        return SettingChoice(chosen, tuple(possible[1 : certain + 1]))


def _ratios(arm: SettingResult, reference: SettingResult) -> list[float]:
    pairs = zip(arm.seconds_per_image, reference.seconds_per_image, strict=True)
    return [mine / theirs for mine, theirs in pairs]


TARGETS = (
    (LimitType.FLOOR, "images_per_second", 50),
    (LimitType.FLOOR, "batches_per_second", 10),
    (LimitType.CEILING, "p99", "100 ms"),  # steady: 99 of 100 batches as often as the target above asks
    (LimitType.CEILING, "overhead", 0.3),
    (LimitType.CEILING, "overhead", 0.2),
    (LimitType.FLOOR, "speedup", 1),
)


def check_targets(sweep: SweepReport, seen: SettingResult) -> tuple[Verdict, ...]:
    """What must hold of a setting, each kept, broken or unclear by its whole interval."""
    found = _metric_estimates(sweep, seen)
    name = f"{seen.setting.workers} workers"
    limits = [Limit.parse(side, metric, bound) for side, metric, bound in TARGETS]
    judged = [judge_limit(limit, found[limit.metric], name) for limit in limits if limit.metric in found]
    return (*map(_with_seconds_hint, judged), *_exact_checks(sweep, name))


def _with_seconds_hint(verdict: Verdict) -> Verdict:
    """More samples are more turns here, and had by another option than in pytest."""
    if verdict.outcome is not Outcome.UNCLEAR:
        return verdict
    return replace(verdict, reason=f"{verdict.reason.partition(';')[0]}; give more --seconds")


def _metric_estimates(sweep: SweepReport, seen: SettingResult) -> dict[str, MetricEstimate]:
    rate = seen.images_per_second
    ends = Interval(rate.interval.low / sweep.batch_size, rate.interval.high / sweep.batch_size, LEVEL)
    found = {
        "images_per_second": rate,
        "batches_per_second": MetricEstimate(rate.value / sweep.batch_size, ends),
    }
    if seen.batch_seconds:
        waits = seen.batch_seconds
        found["p99"] = MetricEstimate(quantile(waits, 0.99), quantile_interval(waits, 0.99, LEVEL))
    if seen.overhead is not None:
        found["overhead"] = seen.overhead
    if seen is not sweep.reference:
        found["speedup"] = sweep.speedup(seen)
    return found


def _normalization_outcome(mean: float, deviation: float) -> Outcome:
    """Kept for photographs; unclear for images that may be of another kind; broken for what no bytes give.

    >>> [_normalization_outcome(*told).value for told in ((0.2, 0.9), (2.2, 0.3), (120.0, 60.0))]
    ['kept', 'unclear', 'broken']
    """
    if abs(mean) < 1 and 0.5 < deviation < 1.5:
        return Outcome.KEPT
    # The brightest byte is 2.6 deviations of ImageNet's images from their mean.
    return Outcome.UNCLEAR if abs(mean) < 3 and deviation < 3 else Outcome.BROKEN


def _exact_checks(sweep: SweepReport, name: str) -> list[Verdict]:
    """What has no noise in it."""
    told = []
    if sweep.mean is not None and sweep.std is not None:
        reason = (
            f"normalized images have mean {sweep.mean:.2f} and deviation {sweep.std:.2f}, "
            "expected about 0 and 1"
        )
        told.append(Verdict(name, "normalized", _normalization_outcome(sweep.mean, sweep.std), reason))
    if sweep.is_reproducible is not None:
        outcome = Outcome.KEPT if sweep.is_reproducible else Outcome.BROKEN
        same = (
            "the same batches, bit for bit" if sweep.is_reproducible else "other batches, expected the same"
        )
        told.append(Verdict(name, "repeats", outcome, f"the same seed gave every setting {same}"))
    return told
