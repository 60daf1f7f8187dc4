"""The rank of a change among the changes of the past: for runs that were not taken in turns.

Where one side is older than the other, drift of the machine may look like a change. The history shows how
much successive commits differed, drift and changes of the code included. If nothing but that happened, the
newest change was as likely as any past one to be the largest: with h commits in the history, its chance is
1 / (h + 1). So a level of 1 % needs 99 commits. All workloads are ranked together, as in `label_permutation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from perfsuite.judge.arrays import FloatArray

_ROUNDING = 1e-9


def commits_needed(alpha: float) -> int:
    """The shortest history in which the largest change is rare enough.

    >>> commits_needed(0.01)
    99
    """
    return max(1, ceil(1 / alpha - 1 - _ROUNDING))


@dataclass(frozen=True)
class HistoryTest:
    """Log times of successive commits (rows; the last two are old and new) for each workload (columns).

    >>> steady = np.array([[0.0], [0.01]] * 50 + [[0.1]])
    >>> HistoryTest(steady, alpha=0.01).p_values_slower.tolist()
    [0.01]
    """

    commit_levels: FloatArray
    alpha: float
    beyond: FloatArray | float = 0.0  # taken off the newest change: the tolerance

    @property
    def can_be_significant(self) -> bool:
        return len(self._changes) * self.alpha >= 1 - _ROUNDING

    @cached_property
    def p_values_slower(self) -> FloatArray:
        """The chance of any workload with so large a change, if it is a change like those of the past."""
        return self._p_values(self._standardized)

    @cached_property
    def p_values_faster(self) -> FloatArray:
        return self._p_values(-self._standardized)

    def shifted(self, by: FloatArray | float) -> HistoryTest:
        return HistoryTest(self.commit_levels, self.alpha, self.beyond + by)

    def detectable_shifts(self, power: float) -> FloatArray:
        """The smallest shift of each workload that is detected with this power, on top of a past change."""
        needed = self.critical_changes - self._changes[:-1]
        return np.maximum(0.0, np.quantile(needed, power, axis=0))

    @cached_property
    def critical_changes(self) -> FloatArray:
        """The change of each workload that would be significant."""
        past = self._changes[:-1]
        scale = _typical_change(past)
        largest = np.sort((past / scale).max(axis=1))[::-1]
        allowed = int(self.alpha * len(self._changes) + _ROUNDING)
        if allowed == 0:
            return np.full(self.commit_levels.shape[1], np.inf)
        return np.asarray(largest[min(allowed, len(largest)) - 1] * scale)

    @cached_property
    def _changes(self) -> FloatArray:
        changes = np.diff(self.commit_levels, axis=0)
        changes[-1] -= self.beyond
        return np.asarray(changes)

    @cached_property
    def _standardized(self) -> FloatArray:
        """The changes, relative to what is typical of the workload."""
        return np.asarray(self._changes / _typical_change(self._changes))

    @staticmethod
    def _p_values(standardized: FloatArray) -> FloatArray:
        largest = standardized.max(axis=1)
        return np.asarray((largest[:, None] >= standardized[-1] - _ROUNDING).mean(axis=0))


def _typical_change(changes: FloatArray) -> FloatArray:
    """The median size of each workload's changes; the largest size where most are zero.

    A mean would favor the newest change: a slow commit of the past counts twice in it, up and down, and a
    slow newest commit once (22 % of false alarms instead of 5 % for skewed noise).
    """
    sizes = np.abs(changes)
    typical, largest = np.median(sizes, axis=0), sizes.max(axis=0)
    return np.where(typical > 0, typical, np.where(largest > 0, largest, 1.0))
