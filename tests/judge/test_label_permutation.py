"""The joint permutation test, against a slow oracle and on noise of any shape."""

from __future__ import annotations

from itertools import combinations
from math import inf, sqrt
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.label_permutation import PermutationTest
from perfsuite.judge.run_labels import labelings


def slow_p_values(log_times: FloatArray, old: int) -> list[float]:
    """By the definition: Student's t of every workload, for every choice of the new runs."""

    def t_value(column: list[float], new: tuple[int, ...]) -> float:
        after = [column[i] for i in new]
        before = [value for i, value in enumerate(column) if i not in new]
        squares = sum((v - fmean(side)) ** 2 for side in (before, after) for v in side)
        error = sqrt(squares / (len(column) - 2) * (1 / len(before) + 1 / len(after)))
        return (fmean(after) - fmean(before)) / error

    columns = [[float(value) for value in column] for column in log_times.T]
    runs = len(log_times)
    observed = [t_value(column, tuple(range(old, runs))) for column in columns]
    largest = [
        max(t_value(column, new) for column in columns) for new in combinations(range(runs), runs - old)
    ]
    return [fmean(each >= t - 1e-9 for each in largest) for t in observed]


@pytest.mark.parametrize(("old", "new", "workloads"), [(3, 3, 1), (4, 3, 5), (2, 5, 3)])
def test_p_values_are_those_of_the_definition(old: int, new: int, workloads: int) -> None:
    for seed in range(5):
        log_times = np.random.default_rng(seed).normal(size=(old + new, workloads))
        log_times[old:, 0] += 1.5
        found = PermutationTest(log_times, old, alpha=0.05)
        assert found.p_values_slower.tolist() == pytest.approx(slow_p_values(log_times, old))
        assert found.p_values_faster.tolist() == pytest.approx(slow_p_values(-log_times, old))


def test_one_workload_agrees_with_scipy() -> None:
    log_times = np.random.default_rng(3).normal(size=(10, 1))
    reference = stats.permutation_test(
        (log_times[5:, 0], log_times[:5, 0]),
        lambda new, old: np.mean(new) - np.mean(old),
        permutation_type="independent",
        alternative="greater",
        n_resamples=np.inf,
    )
    found = PermutationTest(log_times, 5, alpha=0.05).p_values_slower[0]
    assert found == pytest.approx(reference.pvalue)


def test_standard_errors_are_those_of_students_t() -> None:
    log_times = np.random.default_rng(3).normal(size=(11, 2))
    t = stats.ttest_ind(log_times[5:], log_times[:5]).statistic
    shift = log_times[5:].mean(axis=0) - log_times[:5].mean(axis=0)
    assert shift / PermutationTest(log_times, 5, 0.01).standard_errors == pytest.approx(t)


def test_sampled_labelings_give_nearly_the_exact_p_value() -> None:
    log_times = np.random.default_rng(4).normal(size=(12, 4))
    log_times[6:, 0] += 1.5
    exact = PermutationTest(log_times, 6, 0.05).p_values_slower
    sampled = PermutationTest(log_times, 6, 0.05, max_labelings=500).p_values_slower
    assert sampled == pytest.approx(exact, abs=0.07)
    assert len(labelings(6, 6, 0.05, 500)) == 500


def test_equal_runs_are_never_significant() -> None:
    log_times = np.repeat([[0.1, 0.2, 0.3]], 10, axis=0)
    found = PermutationTest(log_times, 5, 0.01)
    assert found.p_values_slower.tolist() == [1.0] * 3
    assert found.detectable_shifts(0.9).tolist() == [0.0] * 3


def test_a_change_of_one_workload_accuses_no_other() -> None:
    source = np.random.default_rng(6)
    alarms = 0
    for _ in range(300):
        log_times = source.normal(0, 0.01, size=(10, 8))
        log_times[5:, 0] += 0.1
        alarms += bool((PermutationTest(log_times, 5, 0.05).p_values_slower[1:] <= 0.05).any())
    assert alarms / 300 <= 0.08


def test_too_few_labelings_detect_nothing_of_any_size() -> None:
    log_times = np.random.default_rng(7).normal(size=(6, 2))
    assert PermutationTest(log_times, 3, 0.01).critical_t == inf
    assert PermutationTest(log_times, 3, 0.01).detectable_shifts(0.9).tolist() == [inf, inf]
