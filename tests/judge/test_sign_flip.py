"""The coin toss: exact chances, and an estimate that wild pairs do not move."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.judge import sign_flip


def by_enumeration(values: list[float]) -> float:
    """The dullest formula there is: try every sign pattern."""
    sizes = np.abs(sign_flip._clip_outliers(np.asarray(values)))
    seen = float(sign_flip._clip_outliers(np.asarray(values)).sum())
    sums = [float(np.dot(signs, sizes)) for signs in product((1, -1), repeat=len(values))]
    return sum(total >= seen - 1e-9 * float(sizes.sum()) for total in sums) / len(sums)


# Sizes that differ visibly or not at all: what lies between is a matter of rounding.
numbers = st.lists(st.integers(-40, 40).map(lambda n: n / 100), min_size=1, max_size=9)


@given(numbers)
def test_the_p_value_equals_that_of_enumerating_all_patterns(values: list[float]) -> None:
    assert sign_flip.sign_flip_p_value(values) == pytest.approx(by_enumeration(values), abs=1e-12)


@pytest.mark.parametrize("number", [25, 28, 32])
def test_with_many_pairs_the_p_value_is_a_close_upper_bound(number: int) -> None:
    chance = np.random.default_rng(number)
    for center in (0.0, 0.3, 0.7):
        scores = sign_flip._clip_outliers(chance.normal(center, 1, number))
        sizes = np.abs(scores)
        room = float(sizes[scores < 0].sum()) + 1e-9 * float(sizes.sum())
        exact = sign_flip._enumerate_subsets(sizes, room)
        assert exact * (1 - 1e-9) <= sign_flip.sign_flip_p_value(list(scores)) <= 1.1 * exact


def test_with_many_pairs_equal_code_is_called_slower_no_more_often_than_stated() -> None:
    chance = np.random.default_rng(11)
    called = sum(sign_flip.sign_flip_p_value(chance.standard_t(2, 60)) <= 0.05 for _ in range(400))
    assert called <= 33  # 5 % of 400, and three deviations
    assert sum(sign_flip.sign_flip_p_value(chance.normal(0.5, 1, 60)) <= 0.05 for _ in range(50)) > 40


@pytest.mark.parametrize("bound", [0.0, 0.005, 0.01, 0.02, 0.05])
@pytest.mark.parametrize("number", [5, 12, 40])
def test_lying_within_a_bound_agrees_with_the_interval(number: int, bound: float) -> None:
    values = np.random.default_rng(number).normal(0.002, 0.01, number)
    low, high = sign_flip.sign_flip_interval(values)
    assert sign_flip.lies_within(values, bound) == (max(abs(low), abs(high)) <= bound)


@pytest.mark.parametrize("number", [1, 6, 12, 24, 60])
def test_all_slower_is_one_pattern_of_all(number: int) -> None:
    assert sign_flip.sign_flip_p_value([0.02 + 0.001 * n for n in range(number)]) == 2.0**-number


def test_all_faster_is_every_pattern() -> None:
    assert sign_flip.sign_flip_p_value([-0.02, -0.03]) == 1.0


def test_no_pairs_have_a_p_value_of_one() -> None:
    assert sign_flip.sign_flip_p_value([]) == 1.0


def test_ratios_within_the_tolerance_are_not_slower() -> None:
    assert sign_flip.sign_flip_p_value([0.02] * 8, beyond=0.03) == 1.0


def test_an_outlier_weighs_little_more_than_another_pair() -> None:
    steady = [0.03] * 15
    assert sign_flip.sign_flip_p_value([*steady, -5.0]) == sign_flip.sign_flip_p_value([*steady, -0.045])


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
def test_negated_ratios_negate_the_center(values: list[float]) -> None:
    assert sign_flip.hodges_lehmann_center([-v for v in values]) == pytest.approx(
        -sign_flip.hodges_lehmann_center(values)
    )


def test_the_interval_contains_the_true_ratio_at_its_level() -> None:
    chance = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        low, high = sign_flip.sign_flip_interval(chance.normal(0.02, 0.01, 12))
        held += low <= 0.02 <= high
    assert held >= 181  # 95 % of 200, less three deviations


def test_the_deviation_of_few_pairs_has_a_margin() -> None:
    assert sign_flip.pair_deviation([0.01]) == float("inf")
    few, many = [0.01, -0.01], [0.01, -0.01] * 20
    assert sign_flip.pair_deviation(few) > sign_flip.pair_deviation(many)


def test_a_disturbance_of_every_fourth_pair_is_noise_and_one_outlier_is_not() -> None:
    chance = np.random.default_rng(6)
    quiet = chance.normal(0, 0.01, 24)
    disturbed = np.where(np.arange(24) % 4 == 0, 15 * quiet, quiet)
    assert sign_flip.pair_deviation(disturbed) > 0.8 * np.std(disturbed)
    wild = np.where(np.arange(24) == 0, 1.0, quiet)
    assert sign_flip.pair_deviation(wild) < 2 * sign_flip.pair_deviation(quiet)
