from __future__ import annotations

import random
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from perfsuite.judge.order_statistics import (
    confidence_at_look,
    median_interval,
    quantile,
    quantile_interval,
    rank_with_tail_below,
    relative_half_iqr,
)
from perfsuite.judge.verdict import Interval

TIMES = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60)


def contains(interval: Interval, value: float) -> bool:
    return interval.low <= value <= interval.high


def covers(count: int, level: float, draw: random.Random) -> bool:
    samples = [draw.lognormvariate(0, 1) for _ in range(count)]
    return contains(median_interval(samples, level), 1.0)  # the true median of this noise


@pytest.mark.parametrize("count", [8, 15, 40])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_the_interval_contains_the_true_median_at_its_level(count: int, level: float) -> None:
    draw = random.Random(42)
    hits = sum(covers(count, level, draw) for _ in range(2_000))
    assert hits / 2_000 >= level - 0.015


def test_an_interval_that_is_too_narrow_fails_the_test_above() -> None:
    draw = random.Random(42)
    samples = [[draw.lognormvariate(0, 1) for _ in range(15)] for _ in range(2_000)]
    too_narrow = sum(quantile(each, 0.4) <= 1.0 <= quantile(each, 0.6) for each in samples)
    assert too_narrow / 2_000 < 0.9


@pytest.mark.parametrize(("count", "is_bounded"), [(7, False), (8, True)])
def test_eight_samples_are_the_fewest_for_99_percent(count: int, is_bounded: bool) -> None:
    interval = median_interval([float(number) for number in range(count)], 0.99)
    assert (interval.low > -inf and interval.high < inf) is is_bounded


def test_many_samples_are_bounded_by_the_normal_approximation() -> None:
    draw = random.Random(1)
    interval = median_interval([draw.gauss(1.0, 0.1) for _ in range(5_000)], 0.99)
    assert contains(interval, 1.0)
    assert interval.high - interval.low < 0.02


def test_the_p95_needs_more_samples_than_the_median() -> None:
    samples = [float(number) for number in range(50)]
    assert quantile_interval(samples, 0.95, 0.99).high == inf
    assert quantile_interval(samples * 10, 0.95, 0.99).high < inf


@given(TIMES, st.floats(0.5, 0.999))
def test_the_interval_contains_the_sample_median(samples: list[float], level: float) -> None:
    assert contains(median_interval(samples, level), quantile(samples, 0.5))


@given(TIMES)
def test_a_quantile_lies_among_the_samples(samples: list[float]) -> None:
    assert min(samples) <= quantile(samples, 0.3) <= max(samples)


def test_one_slow_sample_does_not_move_the_spread() -> None:
    assert relative_half_iqr([1.0] * 20 + [90.0]) == 0.0


def test_all_looks_together_stay_within_the_level() -> None:
    assert sum(1 - confidence_at_look(0.99, look) for look in range(1, 40)) <= 0.01 + 1e-12


def test_repeated_looks_raise_no_more_false_alarms_than_the_level_allows() -> None:
    draw = random.Random(7)
    alarms = 0
    for _ in range(600):
        samples = [draw.lognormvariate(0, 0.3) for _ in range(8)]
        for look in range(1, 8):
            interval = median_interval(samples, confidence_at_look(0.95, look))
            if not contains(interval, 1.0):
                alarms += 1
                break
            samples += [draw.lognormvariate(0, 0.3) for _ in range(len(samples) // 2)]
    assert alarms / 600 <= 0.05


@pytest.mark.parametrize("count", [1_999, 2_000, 2_001, 2_500, 10_000, 100_000])
@pytest.mark.parametrize("share", [0.5, 0.95, 0.01])
@pytest.mark.parametrize("tail", [0.005, 1e-6])
def test_ranks_are_the_largest_within_the_tail(count: int, share: float, tail: float) -> None:
    rank = rank_with_tail_below(count, share, tail)
    assert binom.cdf(rank - 1, count, share) <= tail * (1 + 1e-9)
    assert binom.cdf(rank, count, share) > tail * (1 - 1e-9)
