"""Level changes between segments: their size, and the range of commits that contains the cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import expm1, log1p

import numpy as np

from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.history.segmentation import level_residuals, noise_scale, variance_inflation
from perfsuite.judge.order_statistics import interquartile_mean

LOCATION_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class LevelChange:
    """A step to a new level. Indices count the commits that measured the workload.

    The cause is most likely at `index`, and at 95 % from `first` to `last`; `first - 1` is the last good one.
    """

    index: int
    first: int
    last: int
    log_change: float

    @property
    def change(self) -> float:
        """The ratio of the levels, minus one."""
        return expm1(self.log_change)


def measure_changes(logs: FloatArray, boundaries: Sequence[int], tolerance: float) -> tuple[LevelChange, ...]:
    """The change at each boundary. Boundaries of changes within the tolerance are dropped."""
    kept = list(boundaries)
    while kept:
        sizes = [abs(size) for size in _sizes(logs, kept)]
        if min(sizes) >= log1p(tolerance):
            break
        kept.pop(sizes.index(min(sizes)))
    scale = noise_scale(logs)
    residuals = level_residuals(logs, kept) / scale
    inflation = variance_inflation(residuals, len(kept) + 1)
    ends = [0, *kept, len(logs)]
    changes = []
    for number, size in enumerate(_sizes(logs, kept)):
        start, index, stop = ends[number : number + 3]
        first, last = _location(logs[start:stop] / scale, index - start, inflation)
        changes.append(LevelChange(index, start + first, start + last, size))
    return tuple(changes)


def _sizes(logs: FloatArray, boundaries: Sequence[int]) -> list[float]:
    levels = [interquartile_mean(logs[start:stop]) for start, stop in pairwise([0, *boundaries, len(logs)])]
    return [new - old for old, new in pairwise(levels)]


def _location(scaled: FloatArray, index: int, inflation: float) -> tuple[int, int]:
    """The first and last position of a credible interval for the boundary, with equal prior chances.

    Squared residuals are bounded, so that one spike beside a change does not move the interval.
    """
    old, new = interquartile_mean(scaled[:index]), interquartile_mean(scaled[index:])
    cost_old, cost_new = (np.minimum((scaled - level) ** 2, 9.0) for level in (old, new))
    # Cost of a boundary before position p: old level until p - 1, new level from p on.
    cost = np.concatenate([[0.0], np.cumsum(cost_old - cost_new)])[1:-1]
    weights = np.exp(-(cost - cost.min()) / (2 * inflation))
    share = np.cumsum(weights) / weights.sum()
    tail = (1 - LOCATION_LEVEL) / 2
    first = int(np.searchsorted(share, tail)) + 1
    last = int(np.searchsorted(share, 1 - tail)) + 1
    return min(first, index), max(last, index)
