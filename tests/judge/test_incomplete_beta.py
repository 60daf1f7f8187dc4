"""The incomplete beta function, and Student's quantiles made of it: closed forms, sums, and SciPy."""

from __future__ import annotations

from math import comb, pi, sqrt, tan
from statistics import NormalDist

import pytest

from benchmarks.judge.student_t import student_quantile
from perfsuite.judge.incomplete_beta import regularized_beta

PROBABILITIES = [0.5001, 0.6, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.99999, 1 - 1e-9]
DEGREES = [0.7, 1, 1.5, 2, 2.5, 3, 4.2, 7, 11, 29.5, 100, 1000, 1e5]


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.95])
@pytest.mark.parametrize("count", [1, 7, 40])
def test_the_function_is_the_tail_of_a_binomial_distribution(count: int, share: float) -> None:
    chances = [comb(count, hits) * share**hits * (1 - share) ** (count - hits) for hits in range(count + 1)]
    for rank in range(1, count + 1):
        found = regularized_beta(share, rank, count - rank + 1)
        assert found == pytest.approx(sum(chances[rank:]), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("probability", PROBABILITIES)
def test_one_and_two_degrees_have_closed_forms(probability: float) -> None:
    cauchy = tan(pi * (probability - 0.5))
    two = (2 * probability - 1) / sqrt(2 * probability * (1 - probability))
    assert student_quantile(probability, 1) == pytest.approx(cauchy, rel=1e-7)
    assert student_quantile(probability, 2) == pytest.approx(two, rel=1e-7)


@pytest.mark.parametrize("df", DEGREES)
def test_quantiles_agree_with_scipy(df: float) -> None:
    special = pytest.importorskip("scipy.special", reason="SciPy is not installed")
    for probability in PROBABILITIES:
        expected = float(special.stdtrit(df, probability))
        assert student_quantile(probability, df) == pytest.approx(expected, rel=1e-6)
        assert student_quantile(1 - probability, df) == pytest.approx(-expected, rel=1e-6)


def test_many_degrees_approach_the_normal_distribution() -> None:
    assert student_quantile(0.99, 1e7) == pytest.approx(NormalDist().inv_cdf(0.99), rel=1e-6)


def test_the_median_is_zero() -> None:
    assert student_quantile(0.5, 5) == 0


@pytest.mark.parametrize(
    ("probability", "df"), [(0, 5), (1, 5), (-0.1, 5), (0.9, 0), (0.9, -1), (float("nan"), 5)]
)
def test_other_arguments_are_refused(probability: float, df: float) -> None:
    with pytest.raises(ValueError, match="expected a probability"):
        student_quantile(probability, df)
