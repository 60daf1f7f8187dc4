"""The measuring itself: it is true to a known duration, costs next to nothing and disturbs nothing."""

from __future__ import annotations

import threading
from time import perf_counter_ns

import pytest

from perfsuite.judge.limits import Limit, LimitType, estimate_ratio, judge_limit
from perfsuite.judge.verdict import Outcome
from perfsuite.measure.clock import WallClock, no_wait
from perfsuite.measure.counters.registry import count
from perfsuite.measure.sampling import SamplingPlan, sample

ONE_MILLISECOND = 1_000_000


def spin() -> None:
    """Work for exactly a millisecond by the clock, however fast the machine is."""
    ends = perf_counter_ns() + ONE_MILLISECOND
    while perf_counter_ns() < ends:
        pass


class SpinningDevice:
    """Spins for a millisecond behind the caller's back for each `submit`, as a GPU would."""

    def __init__(self) -> None:
        self._state = threading.Condition()
        self._queued = 0
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self) -> None:
        with self._state:
            self._queued += 1
            self._state.notify_all()

    def wait(self) -> None:
        with self._state:
            self._state.wait_for(lambda: self._queued == 0)

    def _work(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._queued > 0)
            spin()
            with self._state:
                self._queued -= 1
                self._state.notify_all()


def test_a_known_duration_is_measured_within_2_percent(perf):
    found = perf(spin)
    if found is not None:  # the quickest round: in the others the machine may have been taken away meanwhile
        assert min(found.seconds_per_call) == pytest.approx(1e-3, rel=0.02)


def test_a_device_is_waited_for_and_a_clock_that_does_not_is_caught():
    device = SpinningDevice()
    plan = SamplingPlan(min_seconds=0.2)
    waiting = sample(device.submit, WallClock(device.wait), plan, enough=lambda samples, look: True)
    assert min(waiting.seconds_per_call) >= 0.98e-3
    device.wait()
    careless = WallClock(no_wait).time_calls(device.submit, 20) / 20
    device.wait()
    assert careless < 0.5e-3


@pytest.mark.ceiling(overhead=0.01)
def test_measuring_a_call_of_a_millisecond_costs_under_1_percent(perf):
    clock = WallClock(no_wait)
    perf.pair(bare=spin, measured=lambda: clock.time_calls(spin, 1))


def test_counting_leaves_timed_rounds_as_they_were(image_batch):
    """Rounds before and after a counted call, in turns; the ratio may not be shown to be above 2 %."""
    clock = WallClock()

    def call() -> None:
        # Small: whether malloc gives megabytes back to the kernel is luck, and would be judged here too.
        image_batch[:1, :, :64, :64].float().mul_(1 / 255).sub_(0.5)

    def one_pair() -> float:
        before = clock.time_calls(call, 100)
        count(call)
        clock.time_calls(call, 10)  # the counted call's garbage is not the next round's
        return clock.time_calls(call, 100) / before

    limit = Limit(LimitType.CEILING, "overhead", 0.02)
    verdict = judge_limit(
        limit, estimate_ratio([one_pair() for _ in range(60)], 0.99, less=1.0), "after counting"
    )
    assert verdict.outcome is not Outcome.BROKEN, verdict.reason
