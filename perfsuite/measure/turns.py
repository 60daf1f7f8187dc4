"""Several workloads in turns, A B B A: what drifts cancels in the ratios of neighbors.

Who goes first is drawn for each block: a neighbor that takes the core in step with a fixed order would fall
on the same arm every time, and twins would differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random

from perfsuite.measure.clock import Clock
from perfsuite.measure.sampling import (
    RoundCallback,
    SamplingPlan,
    calibrate,
    ignore_progress,
    sample_until,
    warm_up,
)
from perfsuite.measure.workload import Workload

BlockStoppingCriterion = Callable[[Mapping[str, Sequence[float]], int], bool]


@dataclass(frozen=True, slots=True)
class TurnSamples:
    """Seconds per item of each arm, one for each block of turns (forward, then backward)."""

    seconds_per_item: Mapping[str, tuple[float, ...]]
    calls_per_turn: Mapping[str, int]
    looks: int

    def ratios(self, arm: str, reference: str) -> list[float]:
        """Time of `arm` over time of `reference`, block by block."""
        return paired_ratios(self.seconds_per_item, arm, reference)


def paired_ratios(seconds: Mapping[str, Sequence[float]], arm: str, reference: str) -> list[float]:
    """Paired ratios of two arms.

    >>> paired_ratios({"a": [1.0, 2.0], "b": [1.5, 3.0]}, "b", "a")
    [1.5, 1.5]
    """
    return [mine / theirs for mine, theirs in zip(seconds[arm], seconds[reference], strict=True)]


def take_turns(
    arms: Sequence[Workload],
    clock: Clock,
    plan: SamplingPlan,
    enough: BlockStoppingCriterion,
    on_round: RoundCallback = ignore_progress,
) -> TurnSamples:
    """Blocks of turns until `enough` says so or the time is spent."""
    chance = Random()
    calls = {}
    for arm in arms:
        calls[arm.name] = calibrate(arm.call, clock, plan)
        warm_up(arm.call, clock, calls[arm.name], plan, on_round)
    seconds: dict[str, list[float]] = {arm.name: [] for arm in arms}

    def take_one() -> int:
        _take_block(chance.sample(arms, len(arms)), clock, calls, seconds)
        blocks = len(seconds[arms[0].name])
        on_round("turns", blocks)
        return blocks

    looks = sample_until(plan, take_one, lambda look: enough(seconds, look))
    return TurnSamples({name: tuple(taken) for name, taken in seconds.items()}, calls, looks)


def _take_block(
    arms: Sequence[Workload], clock: Clock, calls: Mapping[str, int], seconds: dict[str, list[float]]
) -> None:
    """Each arm once forward and once backward; the geometric mean of its two turns is one observation."""
    first = {arm.name: clock.seconds(arm.call, calls[arm.name]) for arm in arms}
    second = {arm.name: clock.seconds(arm.call, calls[arm.name]) for arm in reversed(arms)}
    for arm in arms:
        mean = sqrt(first[arm.name] * second[arm.name])
        seconds[arm.name].append(mean / calls[arm.name] / arm.items_per_call)
