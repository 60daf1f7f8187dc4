"""How much runs differ is learnt from runs; outliers and changes of the code do not fool it."""

from __future__ import annotations

import random

import pytest

from perfsuite.judge.spread import UNKNOWN, Known, between_neighbours, within


def noise(count: int, deviation: float = 0.01, seed: int = 1) -> list[float]:
    source = random.Random(seed)
    return [source.gauss(0, deviation) for _ in range(count)]


def test_a_single_run_tells_nothing_of_the_spread() -> None:
    assert within([[1.0], [2.0]], trim=False) == UNKNOWN
    assert not Known.of([1.0], [2.0]).of_difference().is_known


def test_runs_of_the_same_code_tell_the_spread() -> None:
    groups = [noise(5, seed=seed) for seed in range(200)]
    found = within(groups, trim=False)
    assert found.df == 800
    # About a median the squares are a little larger than about a mean: on the safe side.
    assert 0.01**2 < found.variance < 1.25 * 0.01**2


def test_one_lucky_or_unlucky_run_does_not_widen_a_trimmed_spread() -> None:
    groups = [noise(5, seed=seed) for seed in range(4)]
    groups[0][0] += 1.0
    assert within(groups, trim=True).variance < 3 * 0.01**2
    assert within(groups, trim=False).variance > 100 * 0.01**2


def test_equal_runs_have_no_spread() -> None:
    assert within([[1.0] * 5], trim=True).variance == 0


@pytest.mark.parametrize("trim", [False, True])
def test_a_step_of_the_code_is_no_noise(trim: bool) -> None:
    series = noise(30)
    changed = series[:15] + [value + 0.5 for value in series[15:]]
    quiet, stepped = between_neighbours(series, trim), between_neighbours(changed, trim)
    assert stepped.variance < 1.2 * quiet.variance


def test_a_spike_is_noise_unless_the_centre_shrugs_it_off() -> None:
    series = noise(30)
    series[10] += 0.5
    assert between_neighbours(series, trim=True).variance < 2 * 0.01**2
    assert between_neighbours(series, trim=False).variance > 20 * 0.01**2


def test_a_slow_drift_hardly_counts() -> None:
    drifting = [value + 0.002 * place for place, value in enumerate(noise(100))]
    assert between_neighbours(drifting, trim=False).variance < 1.5 * 0.01**2


def test_a_short_history_does_not_count() -> None:
    assert between_neighbours(noise(5), trim=False) == UNKNOWN
    assert between_neighbours(noise(6), trim=False) != UNKNOWN


def test_evenings_that_differ_widen_the_spread_of_many_runs() -> None:
    """Five runs of one evening are not five independent looks at the code."""
    source = random.Random(1)
    evenings = [[level + source.gauss(0, 0.001) for _ in range(3)] for level in noise(40, 0.03)]
    old, new = noise(5, 0.001, seed=2), noise(5, 0.001, seed=3)
    alone, known = Known.of(old, new).of_difference(), Known.of(old, new, evenings).of_difference()
    assert alone.standard_error < 0.002
    assert known.standard_error > 0.02


def test_more_runs_narrow_the_spread_only_as_far_as_evenings_allow() -> None:
    source = random.Random(1)
    evenings = [[level + source.gauss(0, 0.02) for _ in range(3)] for level in noise(40, 0.01)]
    known = Known.of(noise(3), noise(3, seed=2), evenings)
    errors = [known.of_difference(more).standard_error for more in (0, 5, 50)]
    assert errors[0] > errors[1] > errors[2] > 0.01


def test_a_single_run_must_clear_the_spikes_of_the_past() -> None:
    series = [[value] for value in noise(30)]
    series[10][0] += 0.5
    assert Known.of([0.0], [0.0], series).fence() > 0.5
    assert Known.of([0.0] * 3, [0.0] * 3, series).fence() == 0
    assert Known.of([0.0], [0.0], [[value] for value in noise(30)]).fence() == 0
