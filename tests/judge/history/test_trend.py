"""Trends of invented series: steps are found with their commits, and noise, spikes and drift are no steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from perfsuite.errors import UsageError
from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.history import segmentation
from perfsuite.judge.history.trend import Trend, TrendSettings, analyze_workload, analyze_workloads


def noise(commits: int = 200, seed: int = 0, scale: float = 0.01) -> FloatArray:
    return np.random.default_rng(seed).normal(0, scale, commits)


def trend_of(logs: FloatArray, **settings: float) -> Trend:
    trend = analyze_workload("w", np.exp(logs), TrendSettings(**settings))  # type: ignore[arg-type]
    assert trend is not None
    return trend


def steps(sizes: Mapping[int, float], commits: int = 200) -> FloatArray:
    """Logarithms of a series that changes by these sizes at these commits."""
    signal = np.zeros(commits)
    for place, size in sizes.items():
        signal[place:] += np.log1p(size)
    return signal


@pytest.mark.parametrize("size", [-0.2, -0.05, 0.05, 0.1, 0.2, 3.0])
@pytest.mark.parametrize("place", [5, 100, 195])
def test_a_step_is_found_at_its_commit(size: float, place: int) -> None:
    trend = trend_of(noise() + steps({place: size}))
    (change,) = trend.changes
    assert change.index == place
    assert change.first <= place <= change.last
    assert change.change == pytest.approx(size, abs=0.02 * (1 + size))
    assert trend.levels[1] / trend.levels[0] == pytest.approx(1 + change.change)


@pytest.mark.parametrize("seed", range(10))
def test_noise_alone_is_steady(seed: int) -> None:
    trend = trend_of(noise(seed=seed))
    assert (trend.events, trend.creep) == ((), None)


def test_spikes_are_no_steps() -> None:
    logs = noise()
    logs[[20, 21, 90, 150]] += 0.7
    assert trend_of(logs).events == ()


def test_two_modes_are_no_steps() -> None:
    slow = np.random.default_rng(1).random(200) < 0.5
    assert trend_of(noise(scale=0.005) + 0.1 * slow).changes == ()


def test_a_drift_is_a_drift_and_not_steps() -> None:
    trend = trend_of(noise() + 0.0005 * np.arange(200))
    assert trend.changes == ()
    assert trend.drifts or trend.creep
    assert sum(each.change for each in trend.drifts) == pytest.approx(0.105, abs=0.02)


def test_small_steps_in_one_direction_are_creep() -> None:
    """Each is 0.4 %, below the tolerance of 1 %; together they are 4 %."""
    logs = noise(300) + 0.004 * (np.arange(300) // 30)
    trend = trend_of(logs)
    assert trend.creep is not None
    assert trend.creep.change == pytest.approx(0.036, abs=0.01)
    assert trend.slower_recently


def test_a_step_is_not_creep() -> None:
    assert trend_of(noise() + steps({100: 0.2})).creep is None


def test_creep_counts_from_the_anchor() -> None:
    logs = np.concatenate([0.001 * np.arange(100), np.full(100, 0.1)]) + noise(scale=0.004)
    assert trend_of(logs).creep is not None
    assert trend_of(logs, anchor=120).creep is None


def test_steps_up_and_down_are_all_found() -> None:
    trend = trend_of(noise() + steps({50: 0.1, 120: -0.05, 160: 0.02}))
    assert [change.index for change in trend.changes] == pytest.approx([50, 120, 160], abs=3)


def test_changes_within_the_tolerance_are_left_out() -> None:
    logs = noise(scale=0.002) + steps({100: 0.03})
    assert len(trend_of(logs).changes) == 1
    assert trend_of(logs, tolerance=0.05).changes == ()


def test_a_commit_that_did_not_measure_is_skipped() -> None:
    seconds = np.exp(noise() + steps({100: 0.2}))
    seconds[10:20] = np.nan
    trend = analyze_workload("w", seconds)
    assert trend is not None
    (change,) = trend.changes
    assert trend.commits[change.index] == 100


def test_a_long_history_is_divided_in_windows() -> None:
    places = [3 * segmentation.WINDOW // 4, segmentation.WINDOW - 5, 5 * segmentation.WINDOW]
    commits = 6 * segmentation.WINDOW
    trend = trend_of(noise(commits) + steps(dict.fromkeys(places, 0.1), commits))
    assert [change.index for change in trend.changes] == pytest.approx(places, abs=1)


def test_a_series_that_depends_on_itself_raises_no_alarm() -> None:
    logs = noise()
    for index in range(1, len(logs)):
        logs[index] += 0.9 * logs[index - 1]
    assert trend_of(logs).changes == ()


@pytest.mark.parametrize("commits", range(1, 14))
@pytest.mark.parametrize("value", [1e-9, 1.0])
def test_short_and_constant_series_are_steady(commits: int, value: float) -> None:
    trend = analyze_workload("w", np.full(commits, value))
    assert trend is not None
    assert trend.events == ()
    assert trend.levels == pytest.approx([value])


@pytest.mark.parametrize("seconds", [[], [np.nan, np.nan], [0.0]])
def test_a_workload_that_was_never_timed_has_no_trend(seconds: list[float]) -> None:
    assert analyze_workload("w", np.array(seconds, dtype=np.float64)) is None


def test_a_recent_slowdown_needs_attention_and_an_old_one_does_not() -> None:
    assert trend_of(noise() + steps({190: 0.1})).slower_recently
    assert not trend_of(noise() + steps({190: -0.1})).slower_recently
    assert not trend_of(noise() + steps({50: 0.1})).slower_recently


def test_progress_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    columns = {"a": np.exp(noise(20)), "b": np.exp(noise(20))}
    assert len(analyze_workloads(columns, on_workload=lambda *count: seen.append(count))) == 2
    assert seen == [(0, 2), (1, 2)]


@pytest.mark.parametrize(("name", "value"), [("tolerance", 1.0), ("tolerance", float("nan")), ("anchor", -1)])
def test_wrong_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        TrendSettings(**{name: value})  # type: ignore[arg-type]
