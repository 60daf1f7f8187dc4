"""What was measured of one loader setting, by blocks of turns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median, stdev

from perfsuite.advise.confidence import LEVEL
from perfsuite.advise.machine import WorkerDemand
from perfsuite.advise.sweep.loader_setting import DATA_LOADER, LoaderSetting
from perfsuite.judge.metrics import MetricEstimate, estimate_overhead, estimate_overhead_share
from perfsuite.judge.order_statistics import median_interval, quantile
from perfsuite.judge.verdict import Interval

PLAIN_MODE = "none"  # without augmentation

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class HostMemory:
    """Memory of the host in bytes."""

    batch_bytes: int  # of a batch as the loader returns it
    prefetch_bytes: int  # of the batches that are loaded ahead
    peak_growth_bytes: int  # of the process tree, from before its workers start to the end of a turn
    worker_bytes: int | None = None  # of the worker processes after a turn; None where there are none


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
