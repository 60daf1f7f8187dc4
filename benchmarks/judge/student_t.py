"""Quantiles of Student's t distribution, for the rule that `compare` used before.

>>> round(student_quantile(0.99, 11), 3)
2.718
"""

from __future__ import annotations

from functools import cache
from math import inf

from perfsuite.judge.incomplete_beta import regularized_beta


@cache
def student_quantile(probability: float, df: float) -> float:
    """The value that a t variable with `df` degrees of freedom stays below with this probability."""
    if not 0 < probability < 1 or not df > 0:
        raise ValueError(
            f"student_quantile: {probability}, {df}; expected a probability in (0, 1) and df above 0"
        )
    if probability == 0.5:
        return 0.0
    if probability < 0.5:
        return -student_quantile(1 - probability, df)
    tail = 1 - probability
    low, high = 0.0, 1.0
    while upper_tail(high, df) > tail:
        low, high = high, 2 * high
        if high == inf:
            return inf
    while (middle := (low + high) / 2) not in (low, high):
        if upper_tail(middle, df) > tail:
            low = middle
        else:
            high = middle
    return high


def upper_tail(t: float, df: float) -> float:
    """The probability of a value above `t`, for `t` of 0 or more."""
    if t * t < df:
        near_zero = regularized_beta(t * t / (df + t * t), 0.5, df / 2)
        return 0.5 * (1 - near_zero)
    return 0.5 * regularized_beta(df / (df + t * t), df / 2, 0.5)
