"""Rounds until enough is known: calibration, warm-up, samples."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from time import perf_counter

from perfsuite.measure.clock import Call, Clock, clock_resolution_seconds

StoppingCriterion = Callable[[Sequence[float], int], bool]  # samples so far, which look this is -> stop?
RoundCallback = Callable[[str, int], None]  # what is being done, how many rounds of it


def ignore_progress(doing: str, rounds: int) -> None: ...


_RESOLUTIONS_PER_ROUND = 10_000  # then the clock's grain is 0.01 % of a round


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """How long a workload may be looked at, in seconds and rounds."""

    min_rounds: int = 9  # the fewest whose interval of the median has ends at the first look's 99.5 %
    min_seconds: float = 0.5
    max_seconds: float = 10.0
    round_seconds: float = 0.01
    max_warmup_seconds: float = 2.0
    disable_gc: bool = False

    def is_spent(self, seconds: float, rounds: int) -> bool:
        """The time is up; a slow workload gets up to four times as much, for the fewest rounds that tell."""
        return seconds >= self.max_seconds * (1 if rounds >= self.min_rounds else 4)


@dataclass(frozen=True, slots=True)
class Rounds:
    """The samples of one workload and how they came about."""

    seconds_per_call: tuple[float, ...]
    calls_per_round: int
    warmup_rounds: int
    reached_steady_state: bool
    looks: int


def sample(
    call: Call,
    clock: Clock,
    plan: SamplingPlan,
    enough: StoppingCriterion,
    on_round: RoundCallback = ignore_progress,
) -> Rounds:
    """Warm up, then take rounds until `enough` says so or the time is spent."""
    samples: list[float] = []

    def take_one() -> int:
        samples.append(clock.seconds(call, calls) / calls)
        on_round("sampling", len(samples))
        return len(samples)

    with _garbage_collection(disabled=plan.disable_gc):
        calls = calibrate(call, clock, plan)
        warmup_rounds, was_warm = warm_up(call, clock, calls, plan, on_round)
        looks = sample_until(plan, take_one, lambda look: enough(samples, look))
    return Rounds(tuple(samples), calls, warmup_rounds, was_warm, looks)


def calibrate(call: Call, clock: Clock, plan: SamplingPlan) -> int:
    """Calls per round, so that a round is long against the clock's grain and the reading's cost."""
    aim = max(plan.round_seconds, clock_resolution_seconds() * _RESOLUTIONS_PER_ROUND)
    calls = 1
    while (took := _confirmed_seconds(call, clock, calls, aim)) < aim:
        # A first call that compiles or reads from disk says little: grow by at most ten at a time.
        calls = max(calls + 1, min(ceil(calls * aim / max(took, 1e-9)), calls * 10))
    return calls


def _confirmed_seconds(call: Call, clock: Clock, calls: int, aim: float) -> float:
    """What is long enough is read again: a machine that stalls for a moment would leave rounds too short."""
    took = clock.seconds(call, calls)
    return took if took < aim else min(took, clock.seconds(call, calls))


def warm_up(
    call: Call, clock: Clock, calls: int, plan: SamplingPlan, on_round: RoundCallback = ignore_progress
) -> tuple[int, bool]:
    """Rounds until the last three are no faster than the three before; how many, and whether warm."""
    took: list[float] = []
    spent = 0.0
    while spent < plan.max_warmup_seconds or len(took) < 2:
        took.append(clock.seconds(call, calls))
        spent += took[-1]
        on_round("warming up", len(took))
        if len(took) >= 6 and min(took[-3:]) >= min(took[-6:-3]) * 0.98:
            return len(took), True
    return len(took), False


def sample_until(plan: SamplingPlan, take_one: Callable[[], int], enough: Callable[[int], bool]) -> int:
    """Rounds until `enough(look)` or the time is spent; how many looks that took.

    `take_one` tells how many rounds there are. Looks come at growing distances: each costs confidence
    (judge.statistics.level_of_look).
    """
    look, next_look, began = 0, plan.min_rounds, perf_counter()
    while True:
        rounds = take_one()
        spent = perf_counter() - began
        if plan.is_spent(spent, rounds):
            return look
        if rounds >= next_look and spent >= plan.min_seconds:
            look += 1
            if enough(look):
                return look
            next_look = ceil(rounds * 1.5)


@contextmanager
def _garbage_collection(disabled: bool) -> Iterator[None]:
    """Begin with no old garbage; collect during rounds unless told not to, as the workload's user would."""
    gc.collect()
    was_enabled = gc.isenabled()
    if disabled:
        gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
