"""Confidence intervals of quantiles for samples that depend on the samples before them.

An interval from order statistics assumes independent rounds. A clock that drifts, or a neighbor that comes
and goes, makes successive rounds alike: n rounds then say as little as n / f independent ones. The factor f
is estimated at many thresholds of the samples, and the largest estimate counts, because a neighbor shows
only at those between its two speeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, inf

import numpy as np

from perfsuite.judge.arrays import BoolArray, FloatArray
from perfsuite.judge.order_statistics import rank_with_tail_below
from perfsuite.judge.verdict import Interval

MIN_ROUNDS_TO_ESTIMATE = 16
_THRESHOLD_SHARES = np.arange(1, 25) / 25
_MIN_BLOCKS = 8
_MIN_DEVIATIONS = 2.0  # of a threshold: fewer rounds above or below it show no dependence
# Two neighbors that share the core the whole time take two thirds of it. What is slower still is slow code.
MAX_DISTURBANCE = 3.0


def dependence_factor(samples: Sequence[float]) -> float:
    """How many of these rounds say as much as one independent round; 1 for too few rounds to know.

    >>> dependence_factor([1.0] * 100)
    1.0
    >>> dependence_factor([1.0] * 50 + [2.0] * 50) > 20
    True
    """
    count = len(samples)
    if count < MIN_ROUNDS_TO_ESTIMATE:
        return 1.0
    values = np.asarray(samples, dtype=np.float64)
    thresholds = np.unique(np.sort(values)[(_THRESHOLD_SHARES * count).astype(int)])
    is_above = values > thresholds[:, None]
    share = is_above.mean(axis=1)
    variance = share * (1 - share)
    used = variance * count >= _MIN_DEVIATIONS
    if not used.any():
        return 1.0
    return max(
        1.0,
        _factor_by_crossings(is_above[used], variance[used]),
        _factor_by_blocks(is_above[used], variance[used]),
    )


def serial_quantile_interval(samples: Sequence[float], share: float, level: float) -> Interval:
    """The confidence interval of a quantile of positive samples, wider where successive samples are alike.

    Rounds that are enough if they are independent, and too few as they are, still bound the quantile: a
    neighbor changes the speed by `MAX_DISTURBANCE` at most.

    >>> serial_quantile_interval([1.0, 1.1, 1.2], 0.5, 0.99)
    Interval(low=-inf, high=inf, level=0.99)
    >>> serial_quantile_interval([1.0] * 50 + [2.0] * 50, 0.5, 0.99)
    Interval(low=0.3333333333333333, high=6.0, level=0.99)
    """
    ordered, count = sorted(samples), len(samples)
    effective = floor(count / dependence_factor(samples))
    tail = (1 - level) / 2
    return Interval(
        low=_lower_bound(ordered, effective, share, tail),
        high=-_lower_bound([-sample for sample in reversed(ordered)], effective, 1 - share, tail),
        level=level,
    )


def _lower_bound(ordered: Sequence[float], effective: int, share: float, tail: float) -> float:
    """The sample below which the quantile is with probability `tail`, where `effective` rounds count."""
    count = len(ordered)
    rank = rank_with_tail_below(effective, share, tail)
    if rank:
        return ordered[rank * count // effective - 1]
    if rank_with_tail_below(count, share, tail):
        return ordered[0] / MAX_DISTURBANCE if ordered[0] > 0 else ordered[0] * MAX_DISTURBANCE
    return -inf


def _factor_by_crossings(is_above: BoolArray, variance: FloatArray) -> float:
    """From how often the samples cross a threshold: exact for two states that alternate at random."""
    crossings = np.maximum(0.5, (is_above[:, 1:] != is_above[:, :-1]).sum(axis=1))
    # One minus the correlation of two successive rounds.
    change = np.minimum(1.0, crossings / (2 * is_above.shape[1] * variance))
    return float(((2 - change) / change).max())


def _factor_by_blocks(is_above: BoolArray, variance: FloatArray) -> float:
    """From the variance of the means of blocks of 2, 4, 8 ... rounds: longer dependence shows here."""
    count = is_above.shape[1]
    sums = np.concatenate([np.zeros((len(is_above), 1)), is_above.cumsum(axis=1)], axis=1)
    factor, length = 1.0, 2
    while count // length >= _MIN_BLOCKS:
        means = np.diff(sums[:, count % length :: length], axis=1) / length
        factor = max(factor, float((length * means.var(axis=1, ddof=1) / variance).max()))
        length *= 2
    return factor
