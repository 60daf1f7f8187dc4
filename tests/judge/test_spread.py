"""How much runs differ is learned from runs; outliers and changes of the code do not fool it."""

from __future__ import annotations

import random

import pytest

from perfsuite.judge.spread import (
    UNKNOWN_SPREAD,
    SpreadModel,
    successive_difference_spread,
    within_group_spread,
)


def noise(count: int, deviation: float = 0.01, seed: int = 1) -> list[float]:
    source = random.Random(seed)
    return [source.gauss(0, deviation) for _ in range(count)]


def test_a_single_run_leaves_the_spread_unknown() -> None:
    assert within_group_spread([[1.0], [2.0]], trim=False) == UNKNOWN_SPREAD
    assert not SpreadModel.from_runs([1.0], [2.0]).difference().is_known


def test_runs_of_the_same_code_give_the_spread() -> None:
    groups = [noise(5, seed=seed) for seed in range(200)]
    found = within_group_spread(groups, trim=False)
    assert found.df == 800
    # About a median the squares are a little larger than about a mean: on the safe side.
    assert 0.01**2 < found.variance < 1.25 * 0.01**2


def test_one_outlier_does_not_widen_a_trimmed_spread() -> None:
    groups = [noise(5, seed=seed) for seed in range(4)]
    groups[0][0] += 1.0
    assert within_group_spread(groups, trim=True).variance < 3 * 0.01**2
    assert within_group_spread(groups, trim=False).variance > 100 * 0.01**2


def test_equal_runs_have_no_spread() -> None:
    assert within_group_spread([[1.0] * 5], trim=True).variance == 0


@pytest.mark.parametrize("trim", [False, True])
def test_a_level_shift_is_not_noise(trim: bool) -> None:
    series = noise(30)
    changed = series[:15] + [value + 0.5 for value in series[15:]]
    quiet, stepped = successive_difference_spread(series, trim), successive_difference_spread(changed, trim)
    assert stepped.variance < 1.2 * quiet.variance


def test_a_spike_is_noise_unless_the_center_is_robust() -> None:
    series = noise(30)
    series[10] += 0.5
    assert successive_difference_spread(series, trim=True).variance < 2 * 0.01**2
    assert successive_difference_spread(series, trim=False).variance > 20 * 0.01**2


def test_a_slow_drift_hardly_counts() -> None:
    drifting = [value + 0.002 * place for place, value in enumerate(noise(100))]
    assert successive_difference_spread(drifting, trim=False).variance < 1.5 * 0.01**2


def test_a_short_history_does_not_count() -> None:
    assert successive_difference_spread(noise(5), trim=False) == UNKNOWN_SPREAD
    assert successive_difference_spread(noise(6), trim=False) != UNKNOWN_SPREAD


def test_sessions_that_differ_widen_the_spread_of_many_runs() -> None:
    """Five runs of one evening are not five independent looks at the code."""
    source = random.Random(1)
    evenings = [[level + source.gauss(0, 0.001) for _ in range(3)] for level in noise(40, 0.03)]
    old, new = noise(5, 0.001, seed=2), noise(5, 0.001, seed=3)
    alone, known = (
        SpreadModel.from_runs(old, new).difference(),
        SpreadModel.from_runs(old, new, evenings).difference(),
    )
    assert alone.standard_error < 0.002
    assert known.standard_error > 0.02


def test_more_runs_narrow_the_spread_only_to_that_between_sessions() -> None:
    source = random.Random(1)
    evenings = [[level + source.gauss(0, 0.02) for _ in range(3)] for level in noise(40, 0.01)]
    known = SpreadModel.from_runs(noise(3), noise(3, seed=2), evenings)
    errors = [known.difference(more).standard_error for more in (0, 5, 50)]
    assert errors[0] > errors[1] > errors[2] > 0.01


def test_a_single_run_must_exceed_the_spikes_of_the_past() -> None:
    series = [[value] for value in noise(30)]
    series[10][0] += 0.5
    assert SpreadModel.from_runs([0.0], [0.0], series).outlier_margin() > 0.5
    assert SpreadModel.from_runs([0.0] * 3, [0.0] * 3, series).outlier_margin() == 0
    assert SpreadModel.from_runs([0.0], [0.0], [[value] for value in noise(30)]).outlier_margin() == 0
