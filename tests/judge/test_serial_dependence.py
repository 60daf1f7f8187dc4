"""Intervals of samples that depend on each other: the truth stays inside, and 5 % beyond it is seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.limits import MIN_ROUNDS_TO_BREAK, Limit, LimitType, judge_limit
from perfsuite.judge.metrics import find_metric
from perfsuite.judge.order_statistics import median_interval
from perfsuite.judge.serial_dependence import dependence_factor, serial_quantile_interval
from perfsuite.judge.verdict import Outcome
from perfsuite.measure.measurement import Measurement

ROUNDS, RUNS, LEVEL = 1_000, 200, 0.995  # the level of the first look


def autoregressive(correlation: float) -> Callable[[np.random.Generator], FloatArray]:
    def noise(rng: np.random.Generator) -> FloatArray:
        values = rng.normal(0, 1, (ROUNDS, RUNS))
        for at in range(1, ROUNDS):
            values[at] = correlation * values[at - 1] + np.sqrt(1 - correlation**2) * values[at]
        return np.asarray(1 + 0.01 * values.T)

    return noise


def neighbor(rounds_per_stay: float) -> Callable[[np.random.Generator], FloatArray]:
    """Two speeds 20 % apart, each half of the time; the truth lies between them."""

    def noise(rng: np.random.Generator) -> FloatArray:
        changes = rng.random((ROUNDS, RUNS)) < 1 / rounds_per_stay
        changes[0] = rng.random(RUNS) < 0.5
        is_slow = changes.cumsum(axis=0) % 2
        return np.asarray((1 + 0.2 * (is_slow - 0.5) + rng.normal(0, 0.005, (ROUNDS, RUNS))).T)

    return noise


SHAPES = {
    "independent": autoregressive(0.0),
    "AR .5": autoregressive(0.5),
    "AR .9": autoregressive(0.9),
    "neighbor, 5 rounds": neighbor(5),
    "neighbor, 20 rounds": neighbor(20),
}


def outcome(samples: FloatArray, bound: float) -> Outcome:
    limit = Limit(LimitType.CEILING, "seconds_per_call", bound)
    measurement = Measurement("t", tuple(samples.tolist()))
    return judge_limit(limit, find_metric("seconds_per_call").estimate(measurement, LEVEL), "t").outcome


@pytest.mark.parametrize("shape", SHAPES)
def test_a_limit_at_the_truth_is_not_broken(shape: str) -> None:
    runs = SHAPES[shape](np.random.default_rng(1))
    broken = sum(outcome(samples, bound=1.0) is Outcome.BROKEN for samples in runs)
    # P(more than 5 of 200) is 1.6 % where the truth is 1 %.
    assert broken <= 5


@pytest.mark.parametrize("shape", ["AR .9", "neighbor, 20 rounds"])
def test_an_interval_for_independent_rounds_fails_the_test_above(shape: str) -> None:
    runs = SHAPES[shape](np.random.default_rng(1))
    assert sum(median_interval(samples.tolist(), LEVEL).low > 1.0 for samples in runs) > 20


@pytest.mark.parametrize("shape", ["independent", "AR .5", "AR .9"])
def test_five_percent_beyond_the_limit_is_found(shape: str) -> None:
    runs = SHAPES[shape](np.random.default_rng(2))
    assert all(outcome(samples, bound=1 / 1.05) is Outcome.BROKEN for samples in runs)
    assert all(outcome(samples, bound=1.05) is Outcome.KEPT for samples in runs)


def test_few_rounds_break_only_what_is_missed_by_far() -> None:
    samples = np.full(MIN_ROUNDS_TO_BREAK, 1.0)
    assert outcome(samples, bound=0.5) is Outcome.BROKEN
    assert outcome(samples[1:], bound=0.5) is Outcome.UNCLEAR
    assert outcome(samples[:9], bound=0.3) is Outcome.BROKEN, "no neighbor makes code three times slower"
    assert outcome(samples[1:], bound=2.0) is Outcome.KEPT


def test_the_factor_of_independent_rounds_is_small() -> None:
    factors = [
        dependence_factor(samples.tolist()) for samples in SHAPES["independent"](np.random.default_rng(3))
    ]
    assert np.median(factors) < 3


def test_few_rounds_have_the_interval_of_independent_ones() -> None:
    samples = np.random.default_rng(4).normal(size=12).tolist()
    assert serial_quantile_interval(samples, 0.5, 0.99) == median_interval(samples, 0.99)


def test_a_limit_kept_by_far_is_kept_beside_a_neighbor_that_comes_and_goes() -> None:
    """200 rounds at two speeds say as little as ten; all of them are hundreds of times within the bound."""
    samples = np.repeat([0.0007, 0.0012], MIN_ROUNDS_TO_BREAK // 2 + 6)
    assert serial_quantile_interval(samples.tolist(), 0.5, LEVEL).high == pytest.approx(0.0036)
    assert outcome(samples, bound=1.0) is Outcome.KEPT
    assert outcome(samples, bound=0.0015) is Outcome.UNCLEAR
    assert outcome(samples, bound=0.0001) is Outcome.BROKEN


def test_too_few_rounds_even_if_independent_bound_nothing() -> None:
    assert outcome(np.full(4, 0.001), bound=1.0) is Outcome.UNCLEAR
