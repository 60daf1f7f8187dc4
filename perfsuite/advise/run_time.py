"""The time of an epoch and of a training run, from measured rates and with their intervals.

>>> epoch = epoch_seconds((1 / 846.8,) * 8, images=17_909, level=0.99)
>>> format_time(epoch), format_time(scale(epoch, 50))
('21 s', '18 min')
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import median

from perfsuite.advise.time_limit import format_duration
from perfsuite.judge.metrics import MetricEstimate
from perfsuite.judge.order_statistics import median_interval
from perfsuite.judge.verdict import Interval


def epoch_seconds(seconds_per_image: Sequence[float], images: int, level: float) -> MetricEstimate:
    """The time of one pass over so many images."""
    interval = median_interval(seconds_per_image, level)
    return scale(MetricEstimate(median(seconds_per_image), interval), images)


def training_seconds_per_image(
    load: Sequence[float], step: Sequence[float], has_workers: bool
) -> tuple[float, ...]:
    """Block by block: workers load while the step runs, so the slower of both counts; else they add up.

    >>> training_seconds_per_image([1.0], [3.0], True), training_seconds_per_image([1.0], [3.0], False)
    ((3.0,), (4.0,))
    """
    pairs = zip(load, step, strict=False)  # a stopped setting has only the first blocks
    return tuple(max(pair) if has_workers else sum(pair) for pair in pairs)


def scale(estimate: MetricEstimate, factor: float) -> MetricEstimate:
    """The estimate and its interval times a number above 0."""
    interval = estimate.interval
    ends = Interval(interval.low * factor, interval.high * factor, interval.level)
    return MetricEstimate(estimate.value * factor, ends)


def format_time(estimate: MetricEstimate) -> str:
    """A time with its interval, if it has an interval of some width.

    >>> format_time(MetricEstimate(90.0, Interval(84.0, 100.0, 0.99)))
    '90 s (84 s to 100 s)'
    """
    low, high = estimate.interval.low, estimate.interval.high
    text = format_duration(estimate.value)
    if not (isfinite(low) and isfinite(high)):
        return f"{text} (too few turns for an interval)"
    return text if low == high else f"{text} ({format_duration(low)} to {format_duration(high)})"
