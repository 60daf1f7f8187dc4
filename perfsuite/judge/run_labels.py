"""Which runs belong to which side: all ways to label them, and whether their order allows a comparison.

If the code is the same, any run could have been a run of either side. So the labels of the runs are
exchangeable, whatever the shape of the noise. Slow drift breaks this where one side is older than the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np

from perfsuite.judge.arrays import BoolArray

MAX_LABELINGS = 5_000  # more than this are sampled; the observed labeling is always one of them
MAX_DRIFT_INFLATION = 2.0
_DRIFT_CORRELATION = 0.9  # of two successive runs, where the machine drifts
_LABELINGS_PER_ALPHA = 20  # a sampled p-value can then be 20 times smaller than alpha
_MAX_SAMPLED_LABELINGS = 100_000
_SEED = 20261128  # the verdict on given runs must not change from one call to the next


def count_labelings(old: int, new: int) -> int:
    """The number of ways to choose which runs are new.

    >>> count_labelings(5, 5)
    252
    """
    return comb(old + new, new)


def fewest_runs_of_each_side(alpha: float) -> int:
    """The fewest runs of each side whose labels can show a change at this level.

    >>> fewest_runs_of_each_side(0.01), fewest_runs_of_each_side(0.0005)
    (5, 7)
    """
    return next(runs for runs in range(1, 1_000) if can_be_significant(runs, runs, alpha))


def can_be_significant(old: int, new: int, alpha: float) -> bool:
    """Whether the most extreme labeling is rare enough for this level."""
    return count_labelings(old, new) * alpha >= 1


@lru_cache(maxsize=16)
def labelings(old: int, new: int, alpha: float = 0.01, most: int = MAX_LABELINGS) -> BoolArray:
    """Rows of labels (True is new) for `old` old runs followed by `new` new ones; the first row is this one.

    All of them, or, if these are more than `most`, the first and a random sample of the others.

    >>> labelings(1, 2).astype(int).tolist()
    [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    """
    runs = old + new
    if count_labelings(old, new) <= most:
        chosen = np.array(list(combinations(range(runs), new)))[::-1]
    else:
        wanted = min(_MAX_SAMPLED_LABELINGS, max(most, round(_LABELINGS_PER_ALPHA / alpha)))
        order = np.random.default_rng(_SEED).random((wanted, runs)).argsort(axis=1)
        chosen = order[:, :new]
        chosen[0] = range(old, runs)
    labels = np.zeros((len(chosen), runs), dtype=np.bool_)
    np.put_along_axis(labels, chosen, values=True, axis=1)
    labels.setflags(write=False)  # shared by all callers
    return labels


def drift_inflation(times_old: Sequence[str], times_new: Sequence[str]) -> float:
    """How much more slow drift changes the difference of the sides than it would in a random order.

    It is the variance of the difference in this order of time, divided by its mean over all orders, for
    noise that keeps 0.9 of its value from one run to the next. Turns give less than one, two blocks of five
    runs four. Runs of one time may have any order, so they count as being taken at once.

    >>> round(drift_inflation("ace", "bdf"), 1), round(drift_inflation("abc", "def"), 1)
    (0.4, 2.5)
    """
    times = [*times_old, *times_new]
    _, ranks = np.unique(np.array(times), return_inverse=True)
    correlation = _DRIFT_CORRELATION ** np.abs(np.subtract.outer(ranks, ranks)).astype(np.float64)
    weights = np.repeat([-1 / len(times_old), 1 / len(times_new)], [len(times_old), len(times_new)])
    runs = len(times)
    mean_correlation = (correlation.sum() - runs) / (runs * (runs - 1))
    random_order = (weights @ weights) * (1 - mean_correlation)
    return float(weights @ correlation @ weights / random_order) if random_order > 0 else 0.0


def are_in_turns(times_old: Sequence[str], times_new: Sequence[str]) -> bool:
    """Whether drift of the machine cannot look like a change.

    >>> are_in_turns("ace", "bdf"), are_in_turns("abc", "def")
    (True, False)
    """
    if max(times_old) < min(times_new) or max(times_new) < min(times_old):
        return False
    return drift_inflation(times_old, times_new) <= MAX_DRIFT_INFLATION
