from __future__ import annotations

import numpy as np
import pytest

from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.history_rank import HistoryTest, commits_needed


def levels(source: np.random.Generator, commits: int, workloads: int, shape: str) -> FloatArray:
    size = (commits, workloads)
    if shape == "normal":
        return source.normal(0, 0.01, size)
    if shape == "two speeds":
        return 0.1 * (source.random(size) < 0.5) + source.normal(0, 0.002, size)
    if shape == "random walk":
        return source.normal(0, 0.01, size).cumsum(axis=0)
    return np.exp(source.normal(0, 1, size)) * 0.02


@pytest.mark.parametrize("shape", ["normal", "two speeds", "random walk", "skewed"])
def test_false_alarms_of_twenty_workloads_stay_within_alpha(shape: str) -> None:
    source, alarms = np.random.default_rng(2), 0
    for _ in range(1_000):
        found = HistoryTest(levels(source, 22, 20, shape), alpha=0.05)
        alarms += bool((found.p_values_slower <= 0.05).any())
    # P(share > 0.07) of 1,000 is under 0.3 % where the truth is 0.05.
    assert alarms / 1_000 <= 0.07


def test_workloads_that_are_ranked_one_by_one_fail_the_test_above() -> None:
    source, alarms = np.random.default_rng(2), 0
    for _ in range(200):
        drawn = levels(source, 22, 20, "normal")
        alone = [HistoryTest(drawn[:, [column]], alpha=0.05).p_values_slower[0] for column in range(20)]
        alarms += min(alone) <= 0.05
    assert alarms / 200 > 0.3


def test_a_large_change_is_found_once_the_history_is_long_enough() -> None:
    drawn = levels(np.random.default_rng(3), 101, 20, "normal")
    drawn[-1, 4] += 0.2
    found = HistoryTest(drawn, alpha=0.01)
    assert found.can_be_significant
    assert np.flatnonzero(found.p_values_slower <= 0.01).tolist() == [4]
    assert np.flatnonzero(found.shifted(0.3).p_values_slower <= 0.01).tolist() == []
    assert not HistoryTest(drawn[1:], alpha=0.01).can_be_significant


@pytest.mark.parametrize(("alpha", "commits"), [(0.01, 99), (0.05, 19), (0.5, 1), (5.0, 1)])
def test_the_history_that_is_needed(alpha: float, commits: int) -> None:
    assert commits_needed(alpha) == commits
    assert HistoryTest(np.zeros((commits + 2, 1)), alpha).can_be_significant


def test_a_shift_of_the_printed_size_is_detected_nine_times_in_ten() -> None:
    source, found = np.random.default_rng(4), 0
    for _ in range(300):
        printed = HistoryTest(levels(source, 202, 5, "normal"), alpha=0.01).detectable_shifts(0.9)[2]
        drawn = levels(source, 202, 5, "normal")
        drawn[-1, 2] += printed
        found += HistoryTest(drawn, alpha=0.01).p_values_slower[2] <= 0.01
    assert found / 300 >= 0.85
