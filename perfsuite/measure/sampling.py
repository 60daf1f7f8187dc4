"""Sample a workload: calibration, warm-up, then rounds until a stopping criterion is met."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from time import perf_counter

from perfsuite.measure.clock import Call, Clock, clock_resolution_seconds

StoppingCriterion = Callable[[Sequence[float], int], bool]  # samples so far, number of this look -> stop?
RoundCallback = Callable[[str, int], None]  # phase, rounds so far


def ignore_round(phase: str, rounds: int) -> None: ...


_RESOLUTIONS_PER_ROUND = 10_000  # then the resolution of the clock is 0.01 % of a round


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """The time and number of rounds that a workload may take."""

    min_rounds: int = 9  # the fewest with a finite interval of the median at the first look's 99.5 %
    min_seconds: float = 0.5
    max_seconds: float = 10.0
    round_seconds: float = 0.01
    max_warmup_seconds: float = 2.0
    disable_gc: bool = False

    def is_spent(self, seconds: float, rounds: int) -> bool:
        """Whether the time is up. A slow workload may take four times as long to reach `min_rounds`."""
        return seconds >= self.max_seconds * (1 if rounds >= self.min_rounds else 4)


@dataclass(frozen=True, slots=True)
class Rounds:
    """The samples of one workload."""

    seconds_per_call: tuple[float, ...]  # one per round
    calls_per_round: int
    looks: int


def sample(
    call: Call,
    clock: Clock,
    plan: SamplingPlan,
    enough: StoppingCriterion,
    on_round: RoundCallback = ignore_round,
) -> Rounds:
    """Warm up, then take rounds until `enough` or the plan stops them."""
    samples: list[float] = []

    def take_round() -> int:
        samples.append(clock.time_calls(call, calls) / calls)
        on_round("sampling", len(samples))
        return len(samples)

    with _garbage_collection(disabled=plan.disable_gc):
        calls = calibrate(call, clock, plan)
        warm_up(call, clock, calls, plan, on_round)
        looks = sample_until(plan, take_round, lambda look: enough(samples, look))
    return Rounds(tuple(samples), calls, looks)


def calibrate(call: Call, clock: Clock, plan: SamplingPlan) -> int:
    """Calls per round, so that a round is long compared with the clock's resolution and reading cost."""
    target = max(plan.round_seconds, clock_resolution_seconds() * _RESOLUTIONS_PER_ROUND)
    calls = 1
    while (seconds := _confirmed_seconds(call, clock, calls, target)) < target:
        # A first call may compile or read from disk, so grow by at most a factor of ten.
        calls = max(calls + 1, min(ceil(calls * target / max(seconds, 1e-9)), calls * 10))
    return calls


def _confirmed_seconds(call: Call, clock: Clock, calls: int, target: float) -> float:
    """Time `calls` calls. A long reading is repeated: after a momentary stall, rounds would be too short."""
    seconds = clock.time_calls(call, calls)
    return seconds if seconds < target else min(seconds, clock.time_calls(call, calls))


def warm_up(
    call: Call, clock: Clock, calls: int, plan: SamplingPlan, on_round: RoundCallback = ignore_round
) -> None:
    """Take rounds until the last three are no faster than the three before, or the plan's time is over."""
    rounds: list[float] = []
    spent = 0.0
    while spent < plan.max_warmup_seconds or len(rounds) < 2:
        rounds.append(clock.time_calls(call, calls))
        spent += rounds[-1]
        on_round("warming up", len(rounds))
        if len(rounds) >= 6 and min(rounds[-3:]) >= min(rounds[-6:-3]) * 0.98:
            return


def sample_until(plan: SamplingPlan, take_round: Callable[[], int], enough: Callable[[int], bool]) -> int:
    """Take rounds until `enough(look)` or the plan stops them; returns the number of looks.

    `take_round` returns the number of rounds so far. Each look costs confidence
    (`judge.order_statistics.confidence_at_look`), so the distance between looks grows.
    """
    look, next_look, start = 0, plan.min_rounds, perf_counter()
    while True:
        rounds = take_round()
        spent = perf_counter() - start
        if plan.is_spent(spent, rounds):
            return look
        if rounds >= next_look and spent >= plan.min_seconds:
            look += 1
            if enough(look):
                return look
            next_look = ceil(rounds * 1.5)


@contextmanager
def _garbage_collection(disabled: bool) -> Iterator[None]:
    """Collect once before the block. In the block collect as in normal use, unless `disabled`."""
    gc.collect()
    was_enabled = gc.isenabled()
    if disabled:
        gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
