"""The permutation test of two sides of runs: exact for any shape of the noise, jointly for all workloads.

A run is one observation of every workload. Its label (old or new) is permuted for all workloads at once, so
whatever a process or an evening does to several workloads stays together. The statistic is the largest
standardized shift of all workloads (Westfall and Young's max T): if the code is the same, the chance that any
workload is among the most extreme share `alpha` of labelings is at most `alpha`, however many workloads there
are. A workload that did change can only raise the bar for the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from perfsuite.judge.arrays import BoolArray, FloatArray
from perfsuite.judge.run_labels import MAX_LABELINGS, labelings

_ROUNDING = 1e-9  # shifts that differ by less are equal
_CELLS_AT_ONCE = 4_000_000  # labelings times workloads: 32 MB

# The spread of few runs is often too small by chance. With this margin (over the number of runs less two), a
# slowdown of the printed MDE is detected nine times in ten: docs/results/promises.md.
_MDE_MARGIN = 5.0


@dataclass(frozen=True)
class PermutationTest:
    """Log times of `old` old runs and `new` new ones (rows), for each workload (columns).

    >>> quiet = np.repeat([[0.0], [0.1]], [5, 5], axis=0)
    >>> PermutationTest(quiet, old=5, alpha=0.01).p_values_slower.round(4).tolist()
    [0.004]
    """

    log_times: FloatArray
    old: int
    alpha: float
    max_labelings: int = MAX_LABELINGS

    @property
    def new(self) -> int:
        return len(self.log_times) - self.old

    @cached_property
    def p_values_slower(self) -> FloatArray:
        """The chance of any workload that looks at least this slow, if the code is the same; by workload."""
        return self._p_values(self._observed, self._largest)

    @cached_property
    def p_values_faster(self) -> FloatArray:
        return self._p_values(-self._observed, self._smallest)

    def shifted(self, by: FloatArray | float) -> PermutationTest:
        """The same runs, with the new ones `by` shorter."""
        moved = self.log_times.copy()
        moved[self.old :] -= by
        return PermutationTest(moved, self.old, self.alpha, self.max_labelings)

    def detectable_shifts(self, power: float) -> FloatArray:
        """The smallest shift of each workload that is detected with this power, at the spread of these runs.

        Each labeling of the runs shows one draw of the noise: the power is the share of labelings in which
        the shift would be significant. Changes must have been removed (`shifted`).
        """
        if np.isinf(self.critical_t):
            return np.full(self.log_times.shape[1], np.inf)
        errors, shifts = self._errors_and_shifts()
        needed = self.critical_t * errors - shifts
        margin = 1 + _MDE_MARGIN / max(1, len(self.log_times) - 2)
        return np.maximum(0.0, np.quantile(needed, power, axis=0)) * margin

    @cached_property
    def critical_t(self) -> float:
        """The t value that a workload must exceed to be significant."""
        allowed = int(self.alpha * len(self._largest) + _ROUNDING)
        if not 0 < allowed < len(self._largest):
            return np.inf if allowed == 0 else 0.0
        correlation = min(1.0, float(np.sort(self._largest)[::-1][allowed]))
        return self._t_of(correlation)

    @cached_property
    def standard_errors(self) -> FloatArray:
        """The standard error of each workload's shift, from the spread within the two sides."""
        sides = self.log_times[: self.old], self.log_times[self.old :]
        squares = sum(((side - side.mean(axis=0)) ** 2).sum(axis=0) for side in sides)
        return np.sqrt(np.asarray(squares) * self._variance_factor / max(1, len(self.log_times) - 2))

    @property
    def _variance_factor(self) -> float:
        """The variance of a shift, over that of one run."""
        return 1 / self.old + 1 / self.new

    @cached_property
    def _labels(self) -> BoolArray:
        return labelings(self.old, self.new, self.alpha, self.max_labelings)

    @cached_property
    def _scores(self) -> FloatArray:
        """The columns, centered and scaled: their sums over the new runs are correlation coefficients."""
        centered = self.log_times - self.log_times.mean(axis=0)
        size = np.sqrt((centered**2).sum(axis=0))
        is_constant = size <= 1e-12 * np.maximum(1.0, np.abs(self.log_times).max(axis=0))
        scaled = np.where(is_constant, 0.0, centered / np.where(is_constant, 1.0, size))
        return np.asarray(scaled * np.sqrt(self._variance_factor))

    @cached_property
    def _observed(self) -> FloatArray:
        return np.asarray(self._scores[self.old :].sum(axis=0))

    @cached_property
    def _extremes(self) -> tuple[FloatArray, FloatArray]:
        """The smallest and the largest statistic of all workloads, by labeling."""
        rows = max(1, _CELLS_AT_ONCE // max(1, self._scores.shape[1]))
        parts = [
            (statistics.min(axis=1), statistics.max(axis=1))
            for start in range(0, len(self._labels), rows)
            for statistics in [self._labels[start : start + rows].astype(np.float64) @ self._scores]
        ]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    @property
    def _largest(self) -> FloatArray:
        return self._extremes[1]

    @property
    def _smallest(self) -> FloatArray:
        return -self._extremes[0]

    @staticmethod
    def _p_values(observed: FloatArray, extremes: FloatArray) -> FloatArray:
        ordered = np.sort(extremes)
        as_extreme = len(ordered) - np.searchsorted(ordered, observed - _ROUNDING)
        return np.asarray(as_extreme / len(ordered))

    def _t_of(self, correlation: float) -> float:
        if correlation >= 1 - _ROUNDING:
            return np.inf
        return correlation * float(np.sqrt((len(self.log_times) - 2) / (1 - correlation**2)))

    def _errors_and_shifts(self) -> tuple[FloatArray, FloatArray]:
        """The standard error and the shift of each workload, by labeling; of a sample of many labelings."""
        labels = self._labels[:: max(1, len(self._labels) // 1_000)].astype(np.float64)
        centered = self.log_times - self.log_times.mean(axis=0)
        shifts = labels @ centered * self._variance_factor
        total = (centered**2).sum(axis=0)
        within = np.maximum(0.0, total - shifts**2 / self._variance_factor)
        return np.sqrt(within * self._variance_factor / max(1, len(self.log_times) - 2)), shifts
