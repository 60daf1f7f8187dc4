"""Quantiles and their confidence intervals from order statistics. No model of the noise is assumed."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, exp, floor, inf, lgamma, log, sqrt
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

from perfsuite.judge.incomplete_beta import regularized_beta
from perfsuite.judge.verdict import Interval

if TYPE_CHECKING:  # every command imports this module, and few need NumPy
    from perfsuite.judge.arrays import FloatArray

_MAX_SUMMED_SAMPLES = 2_000  # beyond this the incomplete beta function is faster than summing probabilities
_RANK_ERROR = 3  # of the normal approximation, from which the exact rank is searched


def quantile(samples: Sequence[float], share: float) -> float:
    """The value below which `share` of the samples lie, by linear interpolation.

    >>> quantile([1.0, 2.0, 4.0], 0.5)
    2.0
    """
    ordered = sorted(samples)
    position = share * (len(ordered) - 1)
    below = floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def quantile_interval(samples: Sequence[float], share: float, level: float) -> Interval:
    """The confidence interval of a quantile; infinite where there are too few samples.

    >>> quantile_interval([1.0, 1.1, 1.2], 0.5, 0.99)
    Interval(low=-inf, high=inf, level=0.99)
    """
    ordered = sorted(samples)
    tail = (1 - level) / 2
    low = rank_with_tail_below(len(ordered), share, tail)
    high = len(ordered) + 1 - rank_with_tail_below(len(ordered), 1 - share, tail)
    return Interval(
        low=ordered[low - 1] if low >= 1 else -inf,
        high=ordered[high - 1] if high <= len(ordered) else inf,
        level=level,
    )


def median_interval(samples: Sequence[float], level: float) -> Interval:
    """The confidence interval of the median.

    >>> median_interval([5.0] * 7 + [9.0], 0.99)
    Interval(low=5.0, high=9.0, level=0.99)
    """
    return quantile_interval(samples, 0.5, level)


def interquartile_mean(values: Sequence[float] | FloatArray) -> float:
    """The mean of the middle half of the values.

    >>> interquartile_mean([0.0, 0.1, 0.1, 9.0])
    0.1
    """
    quarter = len(values) // 4
    return fmean(sorted(values)[quarter : len(values) - quarter])


def interquartile_range(samples: Sequence[float]) -> float:
    """
    >>> interquartile_range([99.0, 100.0, 101.0])
    1.0
    """
    return quantile(samples, 0.75) - quantile(samples, 0.25)


def relative_half_iqr(samples: Sequence[float]) -> float:
    """Half the interquartile range divided by the median: the typical relative deviation of one sample.

    >>> relative_half_iqr([1.0, 1.0, 1.0, 9.0])
    1.0
    >>> relative_half_iqr([99.0, 100.0, 101.0])
    0.005
    """
    middle = quantile(samples, 0.5)
    return interquartile_range(samples) / 2 / middle if middle else 0.0


def confidence_at_look(level: float, look: int) -> float:
    """The level of the interval at the `look`-th look (from 1) at a growing sample.

    Repeated looks would inflate the error rate. So each look spends half of the remaining error
    probability, and all looks together stay within `1 - level`.

    >>> confidence_at_look(0.99, 1), confidence_at_look(0.99, 2)
    (0.995, 0.9975)
    """
    return 1 - (1 - level) / float(2**look)


def rank_with_tail_below(count: int, share: float, tail: float) -> int:
    """The largest rank r with P(Binomial(count, share) < r) <= tail; 0 if there is none."""
    if count > _MAX_SUMMED_SAMPLES:
        z = NormalDist().inv_cdf(tail)
        rank = max(0, ceil(count * share + z * sqrt(count * share * (1 - share)))) + _RANK_ERROR
        while rank > 0 and regularized_beta(1 - share, count - rank + 1, rank) > tail:
            rank -= 1
        return rank
    total, rank = 0.0, 0
    while rank < count:
        total += _binomial_probability(count, rank, share)
        if total > tail:
            break
        rank += 1
    return rank


def _binomial_probability(count: int, hits: int, share: float) -> float:
    ways: float = lgamma(count + 1) - lgamma(hits + 1) - lgamma(count - hits + 1)
    return exp(ways + hits * log(share) + (count - hits) * log(1 - share))
