from __future__ import annotations

from collections.abc import Iterable

import pytest

from perfsuite.measure import sampling
from perfsuite.measure.sampling import Rounds, SamplingPlan, calibrate, sample, warm_up


def nothing() -> None: ...


class ScriptedClock:
    """Says what each call takes instead of measuring it; the last figure goes on for ever."""

    def __init__(self, seconds_per_call: Iterable[float]) -> None:
        self._script = list(seconds_per_call)
        self.asked: list[int] = []

    def wait(self) -> None: ...

    def time_calls(self, call: object, calls: int) -> float:
        self.asked.append(calls)
        each = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return each * calls


PLAN = SamplingPlan(min_rounds=8, min_seconds=0.0, max_seconds=60.0, round_seconds=0.01)


def test_a_round_of_short_calls_is_long_compared_with_the_resolution() -> None:
    assert calibrate(nothing, ScriptedClock([1e-5]), PLAN) * 1e-5 >= 0.01


def test_a_long_call_is_a_round_of_its_own() -> None:
    assert calibrate(nothing, ScriptedClock([0.5]), PLAN) == 1


def test_a_slow_first_call_does_not_shorten_the_rounds() -> None:
    assert calibrate(nothing, ScriptedClock([0.009, 1e-5]), PLAN) * 1e-5 >= 0.01


@pytest.mark.parametrize("stalled", [0, 1, 2])
def test_a_stall_does_not_shorten_the_rounds(stalled: int) -> None:
    """A neighbor takes the core during one of the readings."""
    script = [1e-5] * stalled + [0.08, *[1e-5] * 9]
    assert calibrate(nothing, ScriptedClock(script), PLAN) * 1e-5 >= 0.01


def test_warm_up_continues_while_rounds_get_faster() -> None:
    cooling = [1 / (n + 1) for n in range(20)]
    clock = ScriptedClock([*cooling, 0.05])
    warm_up(nothing, clock, 1, SamplingPlan(max_warmup_seconds=60))
    assert 20 < len(clock.asked) < 30


def test_warm_up_without_a_steady_state_ends_with_its_time() -> None:
    clock = ScriptedClock(0.9**n for n in range(200))
    warm_up(nothing, clock, 1, SamplingPlan(max_warmup_seconds=5.0))
    assert 6 < len(clock.asked) < 20


def test_samples_are_seconds_per_call_and_not_per_round() -> None:
    rounds = sample(nothing, ScriptedClock([1e-4]), PLAN, enough=lambda samples, look: True)
    assert rounds.calls_per_round > 1
    assert all(abs(seconds - 1e-4) < 1e-12 for seconds in rounds.seconds_per_call)


def test_sampling_stops_at_the_stopping_criterion() -> None:
    plan = SamplingPlan(min_rounds=8, min_seconds=0.0, max_seconds=60.0)
    rounds = sample(nothing, ScriptedClock([0.5]), plan, enough=lambda samples, look: look == 3)
    assert isinstance(rounds, Rounds)
    assert rounds.looks == 3
    assert len(rounds.seconds_per_call) == 18  # 8, then 12, then 18


def test_sampling_stops_when_the_time_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(1000))
    monkeypatch.setattr(sampling, "perf_counter", lambda: float(next(seconds)))
    plan = SamplingPlan(min_rounds=8, min_seconds=0.0, max_seconds=20.0)
    rounds = sample(nothing, ScriptedClock([0.5]), plan, enough=lambda samples, look: False)
    assert len(rounds.seconds_per_call) == 20
    assert rounds.looks == 3  # after 8, 12 and 18


def test_a_slow_workload_has_a_time_limit() -> None:
    plan = SamplingPlan(min_rounds=8, max_seconds=10.0)
    assert plan.is_spent(10.0, 8)
    assert not plan.is_spent(10.0, 7)
    assert plan.is_spent(40.0, 3)
