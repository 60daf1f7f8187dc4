"""The exact sign-flip test of paired log ratios.

The first side of each pair is drawn at random, so for identical code both signs of a log ratio are equally
likely. This holds for any noise: drift, spikes, processes that are slow throughout. The p-value is the share
of the 2^n sign patterns that look at least as slow as the observed one. With many pairs it is an upper bound
of that share, so the stated chance of error still holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from perfsuite.judge.arrays import FloatArray

# In medians of the absolute values, so that an outlier weighs little more than another pair.
CLIP_MEDIANS = 1.5
OUTLIER_DEVIATIONS = 3.0  # standard deviations, scaled by the 80th percentile
MAX_ENUMERATED_PAIRS = 24  # 2^12 sums for each half of the pairs
GRID_STEPS_PER_PAIR = 128  # of the mean size; the bound exceeds the share by about 3 % of itself
NORMAL_80TH_PERCENTILE = 1.2816  # of the absolute value of a standard normal variable


def sign_flip_p_value(log_ratios: Sequence[float] | FloatArray, beyond: float = 0.0) -> float:
    """The exact probability of signs that look at least this slow, if the true log ratio were `beyond`.

    >>> sign_flip_p_value([0.02, 0.03, 0.025])
    0.125
    """
    scores = _clip_outliers(np.asarray(log_ratios, dtype=np.float64) - beyond)
    sizes = np.abs(scores)
    if not sizes.any():
        return 1.0
    # A pattern flips some signs from + to -. Its sum is the largest sum minus twice the flipped values.
    room = float(sizes[scores < 0].sum()) + 1e-9 * float(sizes.sum())
    count_share = _enumerate_subsets if len(sizes) <= MAX_ENUMERATED_PAIRS else _round_subsets
    return count_share(sizes, room)


def _clip_outliers(values: FloatArray) -> FloatArray:
    bound = CLIP_MEDIANS * float(np.median(np.abs(values))) if len(values) else 0.0
    return np.clip(values, -bound, bound)


def _enumerate_subsets(sizes: FloatArray, room: float) -> float:
    """The share of all subsets whose sum is at most `room`."""
    half = len(sizes) // 2
    left, right = _subset_sums(sizes[:half]), _subset_sums(sizes[half:])
    subsets = np.searchsorted(right, room - left, side="right").sum()
    return float(subsets) / float(2 ** len(sizes))


def _round_subsets(sizes: FloatArray, room: float) -> float:
    """The same share for many sizes, or slightly more: sizes are rounded down to a grid."""
    unit = float(sizes.sum()) / (GRID_STEPS_PER_PAIR * len(sizes))
    shares = np.zeros(int(room / unit) + 1)  # of subsets, by their sum in steps of the grid
    shares[0] = 1.0
    for steps in (sizes / unit).astype(int):
        with_it = shares[: max(0, len(shares) - steps)] / 2
        shares /= 2
        shares[steps:] += with_it
    return float(shares.sum())


def _subset_sums(sizes: FloatArray) -> FloatArray:
    """The sums of all subsets, sorted: `searchsorted` is faster where the values that it looks up are too."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums, sums + size])
    return np.sort(sums)


def hodges_lehmann_center(log_ratios: Sequence[float] | FloatArray) -> float:
    """The Hodges-Lehmann estimate: the median of all pairwise averages. Efficient, and robust to outliers.

    >>> round(hodges_lehmann_center([0.01, 0.02, 0.03, 0.02, 9.0]), 3)
    0.025
    """
    values = np.asarray(log_ratios, dtype=np.float64)
    row, column = np.triu_indices(len(values))
    return float(np.median((values[row] + values[column]) / 2))


def pair_deviation(log_ratios: Sequence[float] | FloatArray) -> float:
    """The standard deviation of one pair, with outliers clipped and a margin for small samples.

    Outliers are scaled by the 80th percentile, not the median. Where a neighbor takes a core now and then,
    half of the pairs lie close together, and the rest are not outliers but part of the noise.

    >>> 0.9 < pair_deviation(np.random.default_rng(0).normal(0, 1, 200)) < 1.1
    True
    """
    values = np.asarray(log_ratios, dtype=np.float64)
    if len(values) < 2:
        return float("inf")
    deviations = values - np.median(values)
    bound = OUTLIER_DEVIATIONS * float(np.quantile(np.abs(deviations), 0.8)) / NORMAL_80TH_PERCENTILE
    return float(np.std(np.clip(deviations, -bound, bound), ddof=1)) * small_sample_margin(len(values))


def small_sample_margin(count: int) -> float:
    """The factor by which the deviation of so few values is raised."""
    return 1 + 1 / (count - 1)


def sign_flip_interval(log_ratios: Sequence[float] | FloatArray, level: float = 0.95) -> tuple[float, float]:
    """The confidence interval: all log ratios that the sign-flip test does not reject.

    >>> low, high = sign_flip_interval([0.01, 0.02, 0.03, 0.02, 0.015, 0.025, 0.02, 0.03])
    >>> 0.01 <= low < 0.02 < high <= 0.03
    True
    """
    values = np.asarray(log_ratios, dtype=np.float64)
    error = _edge_error(len(values), level)
    low = _bisect_edge(lambda beyond: sign_flip_p_value(values, beyond) <= error, values)
    high = -_bisect_edge(lambda beyond: sign_flip_p_value(-values, beyond) <= error, -values)
    return low, high


def lies_within(log_ratios: Sequence[float] | FloatArray, bound: float, level: float = 0.95) -> bool:
    """Whether the confidence interval lies within plus and minus `bound`."""
    values = np.asarray(log_ratios, dtype=np.float64)
    error = _edge_error(len(values), level)
    return all(sign_flip_p_value(signed, -bound) <= error for signed in (values, -values))


def _edge_error(count: int, level: float) -> float:
    """The chance of error at each edge of an interval: so many values cannot show a smaller one."""
    return float(max((1 - level) / 2, 2.0**-count))


def _bisect_edge(rejected: Callable[[float], bool], values: FloatArray) -> float:
    low, high = float(values.min()) - 1e-6, float(values.max())
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low
