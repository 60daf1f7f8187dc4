"""The incomplete beta function, compared with closed forms, exact sums and SciPy."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from perfsuite.judge.incomplete_beta import regularized_beta

POINTS = [1e-9, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1 - 1e-9]
SHAPES = [0.25, 0.5, 1, 1.5, 3, 4.2, 11, 100, 1000]


def binomial_tail(x: Fraction, a: int, b: int) -> Fraction:
    """The chance of `a` successes or more in a + b - 1 trials, which is I_x(a, b)."""
    trials = a + b - 1
    return sum((comb(trials, k) * x**k * (1 - x) ** (trials - k) for k in range(a, trials + 1)), Fraction(0))


@pytest.mark.parametrize("x", POINTS)
def test_a_shape_of_one_has_a_closed_form(x: float) -> None:
    for shape in SHAPES:
        assert regularized_beta(x, shape, 1) == pytest.approx(x**shape, rel=1e-9, abs=1e-300)
        assert regularized_beta(1 - x, 1, shape) == pytest.approx(1 - x**shape, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 3), (5, 5), (9, 2), (40, 60), (180, 21)])
def test_whole_numbers_are_exact_tails_of_binomials(a: int, b: int) -> None:
    for x in (Fraction(1, 1000), Fraction(1, 20), Fraction(1, 2), Fraction(9, 10)):
        assert regularized_beta(float(x), a, b) == pytest.approx(float(binomial_tail(x, a, b)), rel=1e-9)


@pytest.mark.parametrize("a", SHAPES)
def test_it_agrees_with_scipy(a: float) -> None:
    special = pytest.importorskip("scipy.special", reason="SciPy is not installed")
    for b in SHAPES:
        for x in POINTS:
            expected = float(special.betainc(a, b, x))
            assert regularized_beta(x, a, b) == pytest.approx(expected, rel=1e-8, abs=1e-12)


def test_outside_of_the_unit_interval_it_is_zero_or_one() -> None:
    assert [regularized_beta(x, 2, 3) for x in (-1, 0, 1, 2)] == [0, 0, 1, 1]
