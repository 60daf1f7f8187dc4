"""Divide a series of log times into segments of one level each, with `ruptures` (docs/decisions/0022).

The Gaussian kernel bounds the influence of a value, so spikes and bimodal noise do not look like changes. The
penalty of a change grows with the length of the series and with the dependence of successive values.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log

import numpy as np

from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.order_statistics import interquartile_mean
from perfsuite.judge.sign_flip import NORMAL_80TH_PERCENTILE

MIN_SEGMENT = 3  # commits; fewer are a spike
WINDOW = 200  # commits that are divided at once: the cost grows with the square of it
SETTLED = 25  # a change this close to the end of a window is decided in the next window
OVERLAP = 60
MIN_SCALE = 1e-3  # differences of 0.1 % are never noise that matters
_GAMMA = 0.25  # of the kernel, in units of the noise: values four units apart are simply different
_PENALTY = (
    1.0  # times log(n): no alarm in 200 series of 200 commits without a change (docs/results/history.md)
)
_MAX_DEPENDENCE = 0.5  # more would hide even a step of 20 % where the machine drifts by itself
_PASSES = 3


def find_boundaries(logs: FloatArray) -> list[int]:
    """The indices at which a new level begins, without 0.

    >>> rng = np.random.default_rng(1)
    >>> find_boundaries(np.concatenate([rng.normal(0.0, 0.01, 50), rng.normal(0.1, 0.01, 50)]))
    [50]
    """
    scaled = logs / noise_scale(logs)
    boundaries: list[int] = []
    start = 0
    while start < len(scaled):
        stop = min(len(scaled), start + WINDOW)
        found = [start + each for each in _divide_window(scaled[start:stop])]
        if stop == len(scaled):
            return boundaries + found
        settled = [each for each in found if each < stop - SETTLED]
        boundaries += settled
        start = max([stop - OVERLAP, *settled])
    return boundaries


def noise_scale(logs: FloatArray) -> float:
    """The standard deviation of the noise, from differences of successive values.

    The 80th percentile, not the median: where two modes alternate, most differences are within one mode.
    """
    if len(logs) < 2:
        return MIN_SCALE
    scale = np.quantile(np.abs(np.diff(logs)), 0.8) / (NORMAL_80TH_PERCENTILE * np.sqrt(2))
    return max(float(scale), MIN_SCALE)


def variance_inflation(residuals: FloatArray, levels: int) -> float:
    """How much dependence of successive values inflates the variance of a mean; 1 for independent values."""
    bounded = np.clip(residuals, -3, 3)
    bounded = bounded - bounded.mean()
    total = float((bounded**2).sum())
    if not total:
        return 1.0
    # An estimated level for each segment makes the residuals look less dependent than they are.
    correlation = float((bounded[1:] * bounded[:-1]).sum()) / total + levels / len(bounded)
    correlation = min(max(correlation, 0.0), _MAX_DEPENDENCE)
    return (1 + correlation) / (1 - correlation)


def level_residuals(values: FloatArray, boundaries: Sequence[int]) -> FloatArray:
    """The values minus the level of their segment."""
    residuals = values.copy()
    for start, stop in pairwise([0, *boundaries, len(values)]):
        residuals[start:stop] -= interquartile_mean(values[start:stop])
    return residuals


def _divide_window(scaled: FloatArray) -> list[int]:
    """Raise the penalty until it agrees with the dependence of the residuals."""
    penalty_factor = 1.0
    found = _divide(scaled, penalty_factor)
    for _ in range(_PASSES):
        inflation = variance_inflation(level_residuals(scaled, found), len(found) + 1)
        if inflation <= 1.1 * penalty_factor:
            break
        penalty_factor = inflation
        found = _divide(scaled, penalty_factor)
    return found


def _divide(scaled: FloatArray, penalty_factor: float) -> list[int]:
    import ruptures  # of perfsuite[history]

    if len(scaled) < 2 * MIN_SEGMENT:
        return []
    search = ruptures.KernelCPD(kernel="rbf", min_size=MIN_SEGMENT, params={"gamma": _GAMMA})
    ends = search.fit(scaled[:, None]).predict(pen=_PENALTY * log(len(scaled)) * penalty_factor)
    return [int(end) for end in ends[:-1]]
