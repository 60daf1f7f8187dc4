"""Slow changes: drift that looks like a staircase of steps, and creep since an anchor that no step shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import expm1, log, log1p, sqrt

import numpy as np

from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.history.changes import LevelChange
from perfsuite.judge.history.segmentation import level_residuals, noise_scale, variance_inflation
from perfsuite.judge.order_statistics import interquartile_mean

ANCHOR_COMMITS = 20  # whose level is compared: enough to average the noise
_STANDARD_ERRORS = 4.0  # a chance below 1 in 10,000 for each workload


@dataclass(frozen=True, slots=True)
class Drift:
    """A steady change over many commits: no single one of them is its cause."""

    first: int
    last: int
    log_change: float

    @property
    def change(self) -> float:
        return expm1(self.log_change)


@dataclass(frozen=True, slots=True)
class Creep:
    """The change of the level since an anchor that the steps do not explain."""

    anchor: int  # index of the commit
    log_change: float
    log_steps: float  # the steps since the anchor, together

    @property
    def change(self) -> float:
        return expm1(self.log_change)

    @property
    def total_change(self) -> float:
        """The change since the anchor, steps included."""
        return expm1(self.log_change + self.log_steps)


def separate_drift(
    logs: FloatArray, changes: Sequence[LevelChange]
) -> tuple[tuple[LevelChange, ...], tuple[Drift, ...]]:
    """Replace steps in one direction by a drift where a line fits better, by the Bayesian criterion."""
    steps: list[LevelChange] = []
    drifts: list[Drift] = []
    ends = [0, *(change.index for change in changes), len(logs)]
    scale = noise_scale(logs)
    position = 0
    for _, group in groupby(changes, key=lambda change: change.log_change > 0):
        run = list(group)
        start, stop = ends[position], ends[position + len(run) + 1]
        position += len(run)
        slope = _better_line(logs[start:stop] / scale, [change.index - start for change in run])
        if slope is None:
            steps += run
        else:
            drifts.append(Drift(start, stop - 1, slope * scale * (stop - start - 1)))
    return tuple(steps), tuple(drifts)


def find_creep(
    logs: FloatArray, changes: Iterable[LevelChange], anchor: int, tolerance: float
) -> Creep | None:
    """The creep since the anchor, where it exceeds the tolerance and the noise."""
    since = logs[anchor:].copy()
    commits = min(ANCHOR_COMMITS, len(since) // 3)
    if commits < 3:
        return None
    steps = [change for change in changes if change.index > anchor]
    for change in steps:
        since[change.index - anchor :] -= change.log_change
    log_change = interquartile_mean(since[-commits:]) - interquartile_mean(since[:commits])
    positions = np.arange(len(since))
    residuals = (since - np.polyval(np.polyfit(positions, since, 1), positions)) / noise_scale(since)
    # The interquartile mean has 1.2 times the variance of the mean, for normal noise.
    error = noise_scale(since) * sqrt(variance_inflation(residuals, 2) * 1.2 * 2 / commits)
    if abs(log_change) < max(log1p(tolerance), _STANDARD_ERRORS * error):
        return None
    return Creep(anchor, log_change, sum(change.log_change for change in steps))


def _better_line(scaled: FloatArray, boundaries: Sequence[int]) -> float | None:
    """The slope of a line that fits better than the steps; None where the steps fit better."""
    steps = scaled - level_residuals(scaled, boundaries)
    positions = np.arange(len(scaled))
    without_spikes = steps + np.clip(scaled - steps, -3, 3)
    slope, height = np.polyfit(positions, without_spikes, 1)
    criterion_line = _bounded_cost(scaled - slope * positions - height) + 2 * log(len(scaled))
    criterion_steps = _bounded_cost(scaled - steps) + (2 * len(boundaries) + 1) * log(len(scaled))
    return float(slope) if criterion_line < criterion_steps else None


def _bounded_cost(residuals: FloatArray) -> float:
    return float(np.minimum(residuals**2, 9.0).sum())
