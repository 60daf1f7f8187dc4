"""Name the bottleneck from measured times: a pure function, tested with invented measurements.

>>> times = PipelineTimes(
...     loading=(0.004,) * 8, step=(0.001,) * 8, training=(0.0042,) * 8, num_workers=2,
...     stage_seconds={"read": 0.001, "decode": 0.005, "augment": 0.002},
... )
>>> diagnosis = diagnose(times)
>>> str(diagnosis.place), diagnosis.is_clear, round(diagnosis.share, 3), round(diagnosis.max_speedup, 2)
('decode', True, 0.595, 2.47)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from statistics import median

from perfsuite.advise.bottleneck.places import Bottleneck, seconds_by_place
from perfsuite.judge.amdahl import max_speedup_with_measured_overlap, measured_overlap
from perfsuite.judge.metrics import MetricEstimate, estimate_ratio

LEVEL = 0.99
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The bottleneck, its share of the time of an image, and what removing it can give at most."""

    place: Bottleneck
    is_clear: bool
    share: float
    max_speedup: float  # of training, or of loading where no step was measured
    overlap: float | None  # of loading and step: 0 is one after the other, 1 fully at once
    reason: str
    place_seconds: Mapping[Bottleneck, float]  # of an image, loading's on one core


def diagnose(times: PipelineTimes) -> Diagnosis:
    """Compare the step with loading; where loading is slower, take its largest place."""
    places = seconds_by_place(_stages_as_read(times))
    loading = median(times.loading)
    if not times.step:
        return _loading_diagnosis(times, places, loading, step=None, training=loading)
    step = median(times.step)
    ratio = _loading_over_step(times)
    training = median(times.training) if times.training else _expected_training(times, loading, step)
    if times.num_workers:
        if ratio.value > 1:
            return _loading_diagnosis(times, places, loading, step, training)
        return _device_diagnosis(times, places, loading, step, training)
    largest = max(places.values(), default=loading) * _scale_to_loading(times, loading)
    if step > largest:
        return _device_diagnosis(times, places, loading, step, training)
    return _loading_diagnosis(times, places, loading, step, training)


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


def _expected_training(times: PipelineTimes, loading: float, step: float) -> float:
    return max(loading, step) if times.num_workers else loading + step


def _scale_to_loading(times: PipelineTimes, loading: float) -> float:
    """Seconds of loading with its workers for a second of its stages on one core."""
    total = fsum(_stages_as_read(times).values())
    return loading / total if total else 1.0


def _loading_diagnosis(
    times: PipelineTimes,
    places: Mapping[Bottleneck, float],
    loading: float,
    step: float | None,
    training: float,
) -> Diagnosis:
    seconds = _wall_seconds(times, places, loading)
    place = max(seconds, key=lambda each: seconds[each], default=Bottleneck.DATASET)
    part = seconds.get(place, loading)
    others = sorted((value for each, value in seconds.items() if each is not place), reverse=True)
    overlap = None if step is None else measured_overlap(loading, step, training)
    bound = max_speedup_with_measured_overlap(part, loading, step or 0.0, overlap or 0.0)
    if step is None:
        limits = "no step was measured"
    else:
        limits = _limit_reason("loading", "the step", loading / step, _is_separated(times))
    return Diagnosis(
        place=place,
        is_clear=_is_separated(times) and (not others or part >= CLEAR_LEAD * others[0]),
        share=min(1.0, part / training),
        max_speedup=bound,
        overlap=overlap,
        reason=f"{limits}; {place} is the largest part of loading, {part / loading:.0%}",
        place_seconds=places,
    )


def _wall_seconds(
    times: PipelineTimes, places: Mapping[Bottleneck, float], loading: float
) -> dict[Bottleneck, float]:
    """The share that each place has of the time of loading.

    Stages in the main thread are not shared by the workers, so they count in full where they fill its time.
    """
    stages = _stages_as_read(times)
    in_main = {name: value for name, value in stages.items() if name in times.main_thread_stages}
    if times.num_workers and fsum(in_main.values()) > 0.9 * loading:
        return seconds_by_place(in_main)
    scale = _scale_to_loading(times, loading)
    return {place: seconds * scale for place, seconds in places.items()}


def _device_diagnosis(
    times: PipelineTimes,
    places: Mapping[Bottleneck, float],
    loading: float,
    step: float,
    training: float,
) -> Diagnosis:
    overlap = measured_overlap(loading, step, training)
    is_clear = _is_separated(times)
    return Diagnosis(
        place=Bottleneck.DEVICE,
        is_clear=is_clear,
        share=min(1.0, step / training),
        max_speedup=max_speedup_with_measured_overlap(step, step, loading, overlap),
        overlap=overlap,
        reason=_limit_reason("the step", "loading", step / loading, is_clear),
        place_seconds=places,
    )


def _limit_reason(slow: str, other: str, ratio: float, is_separated: bool) -> str:
    same = "" if is_separated else "; the turns do not separate them, both are about as fast"
    return f"{slow} takes {ratio:.2f} times as long as {other}{same}"


def stage_shares(stage_seconds: Mapping[str, float]) -> Sequence[tuple[str, float]]:
    """Each stage's share of loading on one core, the largest first."""
    total = fsum(stage_seconds.values())
    return sorted(((name, value / total) for name, value in stage_seconds.items()), key=lambda item: -item[1])
