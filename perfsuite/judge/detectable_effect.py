"""The slowdown that the gate's rule detects nine times in ten, in units of the spread between pairs.

The spread is known from the pairs at hand, and a few pairs often agree by chance. A margin for that keeps the
promise on average over gates, for noise that shows in the pairs (docs/results/promises.md). What a workload
does too rarely to show in them, such as a process in five that is slow for its whole life, is not covered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import fmean

import numpy as np

from perfsuite.judge import sign_flip
from perfsuite.judge.arrays import FloatArray

POWER = 0.9  # the probability of detecting a slowdown of the MDE
# Of the spread, over the square of the number of pairs less one: the spread doubles for four pairs, and 24
# gain 2 %. Chosen so that the MDE of each shape of noise is found in 88 % of gates and more.
FEW_PAIRS_MARGIN = 9.0


def pair_spread(log_ratios: Sequence[float], error: float = 0.0) -> float:
    """The standard deviation to expect of further pairs; at least `error`, what their turns say.

    >>> few, many = [0.01, -0.01] * 2, [0.01, -0.01] * 12
    >>> pair_spread(few) > 2 * pair_spread(many), pair_spread(few, error=0.2)
    (True, 0.2)
    """
    return max(error, _few_pairs_margin(len(log_ratios)) * sign_flip.pair_deviation(log_ratios))


def forecast_spread(log_ratios: Sequence[float], pairs: int, error: float = 0.0) -> float:
    """The `pair_spread` of so many pairs like these: the margins are those of the larger number.

    >>> alike = [0.01, -0.01] * 2
    >>> forecast_spread(alike, 24) < forecast_spread(alike, 12) < pair_spread(alike)
    True
    """
    deviation = sign_flip.pair_deviation(log_ratios) / sign_flip.small_sample_margin(len(log_ratios))
    return max(error, deviation * sign_flip.small_sample_margin(pairs) * _few_pairs_margin(pairs))


def _few_pairs_margin(pairs: int) -> float:
    return 1 + FEW_PAIRS_MARGIN / (pairs - 1) ** 2 if pairs > 1 else 1.0


def detectable_spreads(alpha_by_look: Mapping[int, float]) -> float:
    """The distance beyond the tolerance, in spreads, at which a slowdown is detected nine times in ten.

    >>> detectable_spreads({24: 0.001}) < detectable_spreads({12: 0.001})
    True
    """
    return _detectable_spreads(tuple(sorted(alpha_by_look.items())))


@lru_cache(maxsize=64)
def _detectable_spreads(alphas: tuple[tuple[int, float], ...]) -> float:
    if not alphas:
        return float("inf")
    noise = np.random.default_rng(20261121).normal(size=(200, alphas[-1][0]))
    low, high = 0.0, 8.0
    for _ in range(7):
        middle = (low + high) / 2
        power = fmean(_is_detected(row + middle, alphas) for row in noise)
        low, high = (low, middle) if power >= POWER else (middle, high)
    return high


def _is_detected(values: FloatArray, alphas: tuple[tuple[int, float], ...]) -> bool:
    return any(sign_flip.sign_flip_p_value(values[:look]) <= alpha for look, alpha in reversed(alphas))
