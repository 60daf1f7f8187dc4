"""The log ratio of one pair of processes, from its turns, and its standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfsuite.judge.order_statistics import interquartile_mean, interquartile_range

# 1 / 1.35: standard deviation per IQR of a normal; 1.2: loss of the interquartile mean.
STANDARD_ERROR_PER_IQR = 1.2 / 1.35


def pair_log_ratio(base: Sequence[float], head: Sequence[float]) -> float:
    """The log ratio of one pair, head over base: the interquartile mean of its turns' log ratios.

    The times of turns cluster at two or three values. A median jumps between the clusters; a mean does not.

    >>> round(pair_log_ratio([1.0, 1.0, 1.0, 9.0], [1.1, 1.1, 1.1, 1.1]), 3)
    0.095
    """
    return interquartile_mean(_turn_log_ratios(base, head))


def pair_standard_error(base: Sequence[float], head: Sequence[float]) -> float:
    """The standard error of the log ratio of one pair, given its two processes.

    >>> round(pair_standard_error([1.0] * 100, [0.99, 1.01] * 50), 3)
    0.002
    """
    ratios = _turn_log_ratios(base, head)
    return STANDARD_ERROR_PER_IQR * interquartile_range(ratios) / math.sqrt(len(ratios))


def _turn_log_ratios(base: Sequence[float], head: Sequence[float]) -> list[float]:
    return [math.log(h / b) for b, h in zip(base, head, strict=True)]
