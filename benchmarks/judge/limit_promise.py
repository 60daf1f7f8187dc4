"""How often a limit is broken at the truth, and whether 5 % beyond it is found, with repeated looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np

from benchmarks.judge.noise import FloatArray, autoregressive
from perfsuite.judge.limit_confirmation import CONFIRMATIONS, pause_seconds
from perfsuite.judge.limits import Limit, LimitType, judge_limit
from perfsuite.judge.metrics import find_metric
from perfsuite.judge.order_statistics import confidence_at_look, median_interval
from perfsuite.judge.verdict import Outcome
from perfsuite.measure.measurement import Measurement

LEVEL = 0.99
FIRST_LOOK = 50  # rounds of 10 ms in the half second before the first look
LOOK_GROWTH = 1.5
ROUNDS = (1_000,)
PAUSE_ROUNDS = round(pause_seconds(10.0) / 0.01)  # that are not measured, of 10 ms each
BEYOND = 1.05


def neighbor(rounds_per_stay: float) -> Callable[[np.random.Generator, int, int], FloatArray]:
    """Two speeds 20 % apart, each half of the time."""

    def noise(rng: np.random.Generator, rounds: int, runs: int) -> FloatArray:
        changes = rng.random((rounds, runs)) < 1 / rounds_per_stay
        changes[0] = rng.random(runs) < 0.5
        return np.asarray(0.2 * (changes.cumsum(axis=0) % 2 - 0.5) + rng.normal(0, 0.005, (rounds, runs)))

    return noise


SHAPES = {
    "independent": autoregressive(0.0),
    "AR .5": autoregressive(0.5),
    "AR .9": autoregressive(0.9),
    "neighbor that stays for 5 rounds": neighbor(5),
    "neighbor that stays for 20 rounds": neighbor(20),
    "neighbor that stays for 50 rounds": neighbor(50),
    "neighbor that stays for 200 rounds": neighbor(200),
}


@dataclass(frozen=True, slots=True)
class LimitCounts:
    """Runs with the limit at the truth, and with the truth 5 % beyond it."""

    runs: int
    broken_at_truth: int
    kept_at_truth: int
    broken_beyond: int
    broken_at_truth_unconfirmed: int  # the first measurement alone
    broken_at_truth_if_independent: int  # the negative control: the interval for independent rounds


def count_outcomes(shape: str, rounds: int, runs: int, seed: int) -> LimitCounts:
    longest = rounds + CONFIRMATIONS * (PAUSE_ROUNDS + rounds)
    samples = 1 + SHAPES[shape](np.random.default_rng(seed), longest, runs).T
    at_truth = [_outcome(run, rounds, 1.0) for run in samples]
    beyond = [_outcome(run, rounds, 1 / BEYOND) for run in samples]
    return LimitCounts(
        runs=runs,
        broken_at_truth=at_truth.count(Outcome.BROKEN),
        kept_at_truth=at_truth.count(Outcome.KEPT),
        broken_beyond=beyond.count(Outcome.BROKEN),
        broken_at_truth_unconfirmed=sum(_measure(run[:rounds], 1.0)[0] is Outcome.BROKEN for run in samples),
        broken_at_truth_if_independent=sum(_is_broken_if_independent(run[:rounds]) for run in samples),
    )


def _looks(rounds: int) -> list[int]:
    looks = [FIRST_LOOK]
    while looks[-1] < rounds:
        looks.append(min(rounds, ceil(looks[-1] * LOOK_GROWTH)))
    return looks


def _outcome(samples: FloatArray, rounds: int, bound: float) -> Outcome:
    """Broken where the first measurement and all that confirm it say so, as the plugin judges."""
    first, used = _measure(samples[:rounds], bound)
    begin = used
    for _ in range(CONFIRMATIONS if first is Outcome.BROKEN else 0):
        begin += PAUSE_ROUNDS
        again, used = _measure(samples[begin : begin + rounds], bound)
        begin += used
        if again is not Outcome.BROKEN:
            return Outcome.UNCLEAR
    return first


def _measure(samples: FloatArray, bound: float) -> tuple[Outcome, int]:
    """The outcome of one measurement, and the rounds that it took."""
    limit, metric = Limit(LimitType.CEILING, "seconds_per_call", bound), find_metric("seconds_per_call")
    outcome, look = Outcome.UNCLEAR, 0
    for number, look in enumerate(_looks(len(samples)), 1):
        measurement = Measurement("t", tuple(samples[:look].tolist()))
        estimate = metric.estimate(measurement, confidence_at_look(LEVEL, number))
        outcome = judge_limit(limit, estimate, "t").outcome
        if outcome is not Outcome.UNCLEAR:
            break
    return outcome, look


def _is_broken_if_independent(samples: FloatArray) -> bool:
    for number, look in enumerate(_looks(len(samples)), 1):
        interval = median_interval(samples[:look].tolist(), confidence_at_look(LEVEL, number))
        if interval.low >= 1.0 or interval.high <= 1.0:
            return interval.low >= 1.0
    return False
