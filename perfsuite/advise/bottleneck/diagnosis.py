"""Name the bottleneck from measured times: a pure function, tested with invented measurements.

>>> times = PipelineTimes(
...     loading=(0.004,) * 8, step=(0.001,) * 8, training=(0.0042,) * 8, num_workers=2,
...     stage_seconds={"read": 0.001, "decode": 0.005, "augment": 0.002},
... )
>>> diagnosis = diagnose(times)
>>> str(diagnosis.bottleneck), diagnosis.is_clear, round(diagnosis.share, 3), round(diagnosis.max_speedup, 2)
('decode', True, 0.595, 2.47)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from statistics import median

from perfsuite.advise.bottleneck.bottlenecks import Bottleneck, seconds_by_bottleneck
from perfsuite.advise.confidence import LEVEL
from perfsuite.judge.amdahl import max_speedup_with_measured_overlap, measured_overlap
from perfsuite.judge.metrics import MetricEstimate, estimate_ratio

FAR_RATIO = 1.5  # beyond it in every block, loading and step differ also where there are few blocks
CLEAR_LEAD = 1.1  # the largest stage must take this many times the next one's time


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineTimes:
    """Seconds per image. Tuples have one value per block of turns, in the same blocks."""

    loading: tuple[float, ...]  # the loader alone, files in the page cache
    step: tuple[float, ...] = ()  # the training step alone, on a batch in memory (synthetic input)
    training: tuple[float, ...] = ()  # loading and stepping together
    cached: tuple[float, ...] = ()  # the loader with decoded images from memory
    stage_seconds: Mapping[str, float] = field(default_factory=dict)  # of loading on one core
    main_thread_stages: tuple[str, ...] = ()  # that workers do not share
    cold_read_seconds: float | None = None  # of a file that is not in the page cache
    reads_are_cold: bool = False  # the files are larger than the memory, so every epoch reads cold ones
    num_workers: int = 0

    @property
    def median_loading(self) -> float:
        return median(self.loading)

    @property
    def median_step(self) -> float:
        """0 where no step was measured."""
        return median(self.step) if self.step else 0.0

    @property
    def median_training(self) -> float:
        """As measured; else the slower of both with workers, and their sum without."""
        if self.step and self.training:
            return median(self.training)
        parts = (self.median_loading, self.median_step)
        return max(parts) if self.num_workers else sum(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The bottleneck, its share of the time of an image, and what removing it can give at most."""

    bottleneck: Bottleneck
    is_clear: bool
    share: float
    max_speedup: float  # of training, or of loading where no step was measured
    overlap: float | None  # of loading and step: 0 is one after the other, 1 fully at once
    reason: str
    bottleneck_seconds: Mapping[Bottleneck, float]  # of an image, loading's on one core


def diagnose(times: PipelineTimes) -> Diagnosis:
    """Compare the step with loading; where loading is slower, take its largest part."""
    parts = seconds_by_bottleneck(_stages_as_read(times))
    if not times.step:
        is_loading = True
    elif times.num_workers:
        is_loading = _loading_over_step(times).value > 1
    else:
        largest = max(parts.values(), default=times.median_loading) * _scale_to_loading(times)
        is_loading = times.median_step <= largest
    return _loading_diagnosis(times, parts) if is_loading else _device_diagnosis(times, parts)


def _stages_as_read(times: PipelineTimes) -> dict[str, float]:
    """The stages, with the time of a cold file where every epoch reads cold ones."""
    stages = dict(times.stage_seconds)
    if times.reads_are_cold and times.cold_read_seconds is not None:
        stages["read"] = max(times.cold_read_seconds, stages.get("read", 0.0))
    return stages


def _loading_over_step(times: PipelineTimes) -> MetricEstimate:
    pairs = zip(times.loading, times.step, strict=False)
    return estimate_ratio([load / step for load, step in pairs], LEVEL)


def _is_separated(times: PipelineTimes) -> bool:
    """Whether the turns tell loading and the step apart; without workers they only add up."""
    if not (times.step and times.num_workers):
        return True
    interval = _loading_over_step(times).interval
    ratios = [load / step for load, step in zip(times.loading, times.step, strict=False)]
    is_far = len(ratios) > 1 and (min(ratios) > FAR_RATIO or max(ratios) < 1 / FAR_RATIO)
    return interval.low > 1 or interval.high < 1 or is_far


def _scale_to_loading(times: PipelineTimes) -> float:
    """Seconds of loading with its workers for a second of its stages on one core."""
    total = fsum(_stages_as_read(times).values())
    return times.median_loading / total if total else 1.0


def _loading_diagnosis(times: PipelineTimes, parts: Mapping[Bottleneck, float]) -> Diagnosis:
    loading, step, training = times.median_loading, times.median_step, times.median_training
    seconds = _wall_seconds(times, parts)
    bottleneck = max(seconds, key=lambda each: seconds[each], default=Bottleneck.DATASET)
    part = seconds.get(bottleneck, loading)
    others = sorted((value for each, value in seconds.items() if each is not bottleneck), reverse=True)
    if times.step:
        overlap = measured_overlap(loading, step, training)
        limits = _limit_reason("loading", "the step", loading / step, _is_separated(times))
    else:
        overlap, limits = None, "no step was measured"
    return Diagnosis(
        bottleneck=bottleneck,
        is_clear=_is_separated(times) and (not others or part >= CLEAR_LEAD * others[0]),
        share=min(1.0, part / training),
        max_speedup=max_speedup_with_measured_overlap(part, loading, step, overlap or 0.0),
        overlap=overlap,
        reason=f"{limits}; {bottleneck} is the largest part of loading, {part / loading:.0%}",
        bottleneck_seconds=parts,
    )


def _wall_seconds(times: PipelineTimes, parts: Mapping[Bottleneck, float]) -> dict[Bottleneck, float]:
    """The share that each bottleneck has of the time of loading.

    Stages in the main thread are not shared by the workers, so they count in full where they fill its time.
    """
    stages = _stages_as_read(times)
    in_main = {name: value for name, value in stages.items() if name in times.main_thread_stages}
    if times.num_workers and fsum(in_main.values()) > 0.9 * times.median_loading:
        return seconds_by_bottleneck(in_main)
    scale = _scale_to_loading(times)
    return {each: seconds * scale for each, seconds in parts.items()}


def _device_diagnosis(times: PipelineTimes, parts: Mapping[Bottleneck, float]) -> Diagnosis:
    loading, step, training = times.median_loading, times.median_step, times.median_training
    overlap, is_clear = measured_overlap(loading, step, training), _is_separated(times)
    return Diagnosis(
        bottleneck=Bottleneck.DEVICE,
        is_clear=is_clear,
        share=min(1.0, step / training),
        max_speedup=max_speedup_with_measured_overlap(step, step, loading, overlap),
        overlap=overlap,
        reason=_limit_reason("the step", "loading", step / loading, is_clear),
        bottleneck_seconds=parts,
    )


def _limit_reason(slow: str, other: str, ratio: float, is_separated: bool) -> str:
    same = "" if is_separated else "; the turns do not separate them, both are about as fast"
    return f"{slow} takes {ratio:.2f} times as long as {other}{same}"


def stage_shares(stage_seconds: Mapping[str, float]) -> Sequence[tuple[str, float]]:
    """Each stage's share of loading on one core, the largest first."""
    total = fsum(stage_seconds.values())
    return sorted(((name, value / total) for name, value in stage_seconds.items()), key=lambda item: -item[1])
