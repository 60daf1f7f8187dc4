"""Compare several sides in alternating turns (A B B A), so that drift cancels in the ratios.

The order of each block is drawn at random. With a fixed order, a neighbor that takes the core in step with
the turns would always slow down the same side, and two equal sides would differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from typing import TypeVar

from perfsuite.measure.clock import Clock
from perfsuite.measure.sampling import (
    RoundCallback,
    SamplingPlan,
    calibrate,
    ignore_round,
    sample_until,
    warm_up,
)
from perfsuite.measure.workload import Workload

Side = TypeVar("Side")
BlockStoppingCriterion = Callable[[Mapping[str, Sequence[float]], int], bool]


def draw_block(sides: int, rng: Random) -> list[int]:
    """The turns of one block: every side once in random order, then once more in the reverse order.

    >>> draw_block(2, Random(0))
    [1, 0, 0, 1]
    """
    order = rng.sample(range(sides), sides)
    return [*order, *reversed(order)]


def measure_block(sides: Sequence[Side], turn: Callable[[Side], float], rng: Random) -> tuple[float, ...]:
    """One value per side: the geometric mean of its two turns in one block."""
    turns: list[list[float]] = [[] for _ in sides]
    for index in draw_block(len(sides), rng):
        turns[index].append(turn(sides[index]))
    return tuple(sqrt(first * second) for first, second in turns)


def run_blocks(
    sides: Sequence[Side], turn: Callable[[Side], float], *, should_stop: Callable[[int], bool], rng: Random
) -> Iterator[tuple[float, ...]]:
    """Yield `measure_block` until `should_stop(number of blocks)`.

    >>> list(run_blocks("AB", {"A": 1.0, "B": 2.0}.get, should_stop=lambda blocks: blocks == 2, rng=Random()))
    [(1.0, 2.0), (1.0, 2.0)]
    """
    blocks = 0
    while not should_stop(blocks):
        yield measure_block(sides, turn, rng)
        blocks += 1


@dataclass(frozen=True, slots=True)
class TurnSamples:
    """Seconds per item of each workload, one value per block."""

    seconds_per_item: Mapping[str, tuple[float, ...]]
    calls_per_turn: Mapping[str, int]
    looks: int

    def ratios(self, workload: str, reference: str) -> list[float]:
        """Time of `workload` divided by time of `reference`, block by block."""
        return paired_ratios(self.seconds_per_item, workload, reference)


def paired_ratios(seconds: Mapping[str, Sequence[float]], workload: str, reference: str) -> list[float]:
    """The ratios of two workloads, block by block.

    >>> paired_ratios({"a": [1.0, 2.0], "b": [1.5, 3.0]}, "b", "a")
    [1.5, 1.5]
    """
    return [mine / other for mine, other in zip(seconds[workload], seconds[reference], strict=True)]


def take_turns(
    workloads: Sequence[Workload],
    clock: Clock,
    plan: SamplingPlan,
    enough: BlockStoppingCriterion,
    on_round: RoundCallback = ignore_round,
) -> TurnSamples:
    """Measure workloads in blocks of turns until `enough` or the plan stops them."""
    rng = Random()
    calls = {}
    for workload in workloads:
        calls[workload.name] = calibrate(workload.call, clock, plan)
        warm_up(workload.call, clock, calls[workload.name], plan, on_round)
    seconds: dict[str, list[float]] = {workload.name: [] for workload in workloads}

    def turn(workload: Workload) -> float:
        return clock.time_calls(workload.call, calls[workload.name])

    def take_block() -> int:
        for workload, mean in zip(workloads, measure_block(workloads, turn, rng), strict=True):
            seconds[workload.name].append(mean / calls[workload.name] / workload.items_per_call)
        blocks = len(seconds[workloads[0].name])
        on_round("turns", blocks)
        return blocks

    looks = sample_until(plan, take_block, lambda look: enough(seconds, look))
    return TurnSamples({name: tuple(values) for name, values in seconds.items()}, calls, looks)
