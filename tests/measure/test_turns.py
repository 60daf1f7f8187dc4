from __future__ import annotations

from dataclasses import replace
from itertools import count
from random import Random

import pytest

from perfsuite.judge.metrics import estimate_ratio
from perfsuite.measure.sampling import SamplingPlan
from perfsuite.measure.turns import draw_block, run_blocks, take_turns
from perfsuite.measure.workload import Workload


class DriftingClock:
    """Every reading is 1 % longer than the one before; workload `b` takes `ratio` times as long as `a`."""

    def __init__(self, ratio: float, drift: float = 0.01) -> None:
        self._ratio, self._drift, self._readings = ratio, drift, 0
        self.order: list[str] = []

    def wait(self) -> None: ...

    def time_calls(self, call: object, calls: int) -> float:
        self._readings += 1
        name = call()  # type: ignore[operator]
        self.order.append(name)
        true = self._ratio if name == "b" else 1.0
        return float(true * calls * (1 + self._drift) ** self._readings)


WORKLOADS = [Workload("a", lambda: "a"), Workload("b", lambda: "b")]
PLAN = SamplingPlan(min_rounds=20, min_seconds=0.0, max_seconds=60.0, max_warmup_seconds=0.0)


@pytest.mark.parametrize("ratio", [1.0, 1.05, 0.5])
def test_drift_cancels_in_turns(ratio: float) -> None:
    turns = take_turns(WORKLOADS, DriftingClock(ratio), PLAN, enough=lambda seconds, look: True)
    assert estimate_ratio(turns.ratios("b", "a"), 0.99).value == pytest.approx(ratio, rel=1e-9)


def test_the_same_drift_distorts_blocks() -> None:
    clock = DriftingClock(1.0)
    first = [clock.time_calls(lambda: "a", 1) for _ in range(40)]
    second = [clock.time_calls(lambda: "b", 1) for _ in range(40)]
    assert sum(second) / sum(first) > 1.4


def test_turns_run_forward_and_back_and_either_side_may_be_first() -> None:
    clock = DriftingClock(1.0)
    take_turns(WORKLOADS, clock, replace(PLAN, min_rounds=64), enough=lambda seconds, look: True)
    order = "".join(clock.order[-4 * 64 :])
    assert {order[at : at + 4] for at in range(0, len(order), 4)} == {"abba", "baab"}


class ClockDisturbedInStep(DriftingClock):
    """A neighbor takes the core whenever the second turn of a block begins, and keeps it for two."""

    def time_calls(self, call: object, calls: int) -> float:
        plain = super().time_calls(call, calls)
        return plain * (3.0 if len(self.order) % 4 in (2, 3) else 1.0)


def test_a_neighbor_in_step_with_the_turns_is_noise_and_not_a_change() -> None:
    """In a fixed order the second side would always take three times as long as its equal."""
    plan = replace(PLAN, min_rounds=64)
    turns = take_turns(
        WORKLOADS, ClockDisturbedInStep(1.0, drift=0.0), plan, enough=lambda seconds, look: True
    )
    found = estimate_ratio(turns.ratios("b", "a"), 0.999999)  # a level that random orders hardly ever exceed
    assert found.interval.low < 1.0 < found.interval.high


def test_sides_of_different_size_are_compared_per_item() -> None:
    workloads = [WORKLOADS[0], Workload("b", lambda: "b", items_per_call=2.0)]
    turns = take_turns(workloads, DriftingClock(2.0), PLAN, enough=lambda seconds, look: True)
    assert estimate_ratio(turns.ratios("b", "a"), 0.99).value == pytest.approx(1.0)


@pytest.mark.parametrize("sides", [1, 2, 3, 5])
def test_a_block_has_every_side_once_and_again_in_reverse_order(sides: int) -> None:
    blocks = [draw_block(sides, Random(seed)) for seed in range(60)]
    assert all(sorted(block[:sides]) == list(range(sides)) and block == block[::-1] for block in blocks)
    assert {block[0] for block in blocks} == set(range(sides))


def test_linear_drift_cancels_in_blocks_of_any_number_of_sides() -> None:
    readings = count()

    def turn(side: str) -> float:
        return (1.0 + ord(side) - ord("a")) * 1.01 ** next(readings)

    for block in run_blocks("abc", turn, should_stop=lambda blocks: blocks == 20, rng=Random(1)):
        assert [value / block[0] for value in block] == pytest.approx([1.0, 2.0, 3.0])


def test_processes_with_the_same_seed_draw_the_same_order() -> None:
    """Ranks that train together must take the same turns."""
    orders: list[list[str]] = [[], []]
    for order in orders:

        def turn(side: str, order: list[str] = order) -> float:
            order.append(side)
            return 1.0

        list(run_blocks("ab", turn, should_stop=lambda blocks: blocks == 30, rng=Random(0)))
    assert orders[0] == orders[1]
    assert {"".join(orders[0][at : at + 4]) for at in range(0, 120, 4)} == {"abba", "baab"}


def test_no_block_runs_after_the_stop() -> None:
    assert list(run_blocks("ab", lambda side: 1.0, should_stop=lambda blocks: True, rng=Random())) == []
