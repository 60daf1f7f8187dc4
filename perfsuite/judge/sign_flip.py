"""The coin toss behind every paired verdict: how many of the 2^n sign patterns look at least this slow.

Which side of a pair went first is drawn at random, so for identical code every log ratio is as likely to have
the other sign. That holds whatever the noise is like: drift, spikes, processes that are slow for life.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

CLIP_MEDIANS = 1.5  # in medians of the sizes: one wild pair counts as little more than any other
OUTLIER_DEVIATIONS = 3.0  # standard deviations, as four of five pairs tell one
NORMAL_80TH_PERCENTILE = 1.2816  # standard deviations within which they lie of a normal

FloatArray = NDArray[np.float64]


def sign_flip_p_value(log_ratios: Sequence[float] | FloatArray, beyond: float = 0.0) -> float:
    """Exact chance, if the true log ratio were `beyond`, of signs that look at least this slow.

    >>> sign_flip_p_value([0.02, 0.03, 0.025])
    0.125
    """
    scores = _clip_outliers(np.asarray(log_ratios, dtype=np.float64) - beyond)
    if not len(scores):
        return 1.0
    sizes = np.abs(scores)
    # A pattern turns some signs from + to -: its sum is the largest sum less twice what was turned.
    turned = float(sizes[scores < 0].sum())
    half = len(sizes) // 2
    left, right = _subset_sums(sizes[:half]), np.sort(_subset_sums(sizes[half:]))
    room = turned + 1e-9 * float(sizes.sum())
    patterns = np.searchsorted(right, room - left, side="right").sum()
    return float(patterns) / float(2 ** len(sizes))


def _clip_outliers(values: FloatArray) -> FloatArray:
    bound = CLIP_MEDIANS * float(np.median(np.abs(values))) if len(values) else 0.0
    return np.clip(values, -bound, bound)


def _subset_sums(sizes: FloatArray) -> FloatArray:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums, sums + size])
    return sums


def hodges_lehmann_center(log_ratios: Sequence[float] | FloatArray) -> float:
    """Median of all averages of two (Hodges-Lehmann): nearly as steady as a mean, deaf to a few wild pairs.

    >>> round(hodges_lehmann_center([0.01, 0.02, 0.03, 0.02, 9.0]), 3)
    0.025
    """
    values = np.asarray(log_ratios, dtype=np.float64)
    row, column = np.triu_indices(len(values))
    return float(np.median((values[row] + values[column]) / 2))


def pair_deviation(log_ratios: Sequence[float] | FloatArray) -> float:
    """Standard deviation of one pair, wild ones drawn in, with a margin for having seen few.

    Wild is judged by how far four of five reach, not half of them: where a neighbor takes a core now and
    then, half the pairs lie close together, and the others are no accidents but the noise itself.

    >>> 0.9 < pair_deviation(np.random.default_rng(0).normal(0, 1, 200)) < 1.1
    True
    """
    values = np.asarray(log_ratios, dtype=np.float64)
    if len(values) < 2:
        return float("inf")
    off = values - np.median(values)
    bound = OUTLIER_DEVIATIONS * float(np.quantile(np.abs(off), 0.8)) / NORMAL_80TH_PERCENTILE
    return float(np.std(np.clip(off, -bound, bound), ddof=1)) * (1 + 1 / (len(values) - 1))


def sign_flip_interval(log_ratios: Sequence[float] | FloatArray, level: float = 0.95) -> tuple[float, float]:
    """The true log ratios that the coin toss does not speak against.

    >>> low, high = sign_flip_interval([0.01, 0.02, 0.03, 0.02, 0.015, 0.025, 0.02, 0.03])
    >>> 0.01 <= low < 0.02 < high <= 0.03
    True
    """
    values = np.asarray(log_ratios, dtype=np.float64)
    error = max((1 - level) / 2, 2.0 ** -len(values))
    low = _bisect_edge(lambda beyond: sign_flip_p_value(values, beyond) <= error, values)
    high = -_bisect_edge(lambda beyond: sign_flip_p_value(-values, beyond) <= error, -values)
    return low, high


def _bisect_edge(rejected: Callable[[float], bool], values: FloatArray) -> float:
    low, high = float(values.min()) - 1e-6, float(values.max())
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low
