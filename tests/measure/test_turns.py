from __future__ import annotations

from dataclasses import replace

import pytest

from perfsuite.judge.metrics import estimate_ratio
from perfsuite.measure.sampling import SamplingPlan
from perfsuite.measure.turns import take_turns
from perfsuite.measure.workload import Workload


class DriftingClock:
    """Every reading is 1 % longer than the one before; arm `b` takes `ratio` times as long as `a`."""

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


ARMS = [Workload("a", lambda: "a"), Workload("b", lambda: "b")]
PLAN = SamplingPlan(min_rounds=20, min_seconds=0.0, max_seconds=60.0, max_warmup_seconds=0.0)


@pytest.mark.parametrize("ratio", [1.0, 1.05, 0.5])
def test_a_drift_that_ruins_blocks_leaves_turns_alone(ratio: float) -> None:
    turns = take_turns(ARMS, DriftingClock(ratio), PLAN, enough=lambda seconds, look: True)
    assert estimate_ratio(turns.ratios("b", "a"), 0.99).value == pytest.approx(ratio, rel=1e-9)


def test_the_same_drift_is_seen_by_blocks() -> None:
    clock = DriftingClock(1.0)
    first = [clock.time_calls(lambda: "a", 1) for _ in range(40)]
    second = [clock.time_calls(lambda: "b", 1) for _ in range(40)]
    assert sum(second) / sum(first) > 1.4


def test_turns_go_forward_and_back_and_either_arm_may_be_first() -> None:
    clock = DriftingClock(1.0)
    take_turns(ARMS, clock, replace(PLAN, min_rounds=64), enough=lambda seconds, look: True)
    order = "".join(clock.order[-4 * 64 :])
    assert {order[at : at + 4] for at in range(0, len(order), 4)} == {"abba", "baab"}


class DisturbedInStep(DriftingClock):
    """A neighbor takes the core whenever the second turn of a block begins, and keeps it for two."""

    def time_calls(self, call: object, calls: int) -> float:
        plain = super().time_calls(call, calls)
        return plain * (3.0 if len(self.order) % 4 in (2, 3) else 1.0)


def test_a_neighbor_in_step_with_the_turns_is_noise_and_no_verdict() -> None:
    """In a fixed order the second arm would always have taken three times as long as its twin."""
    plan = replace(PLAN, min_rounds=64)
    turns = take_turns(ARMS, DisturbedInStep(1.0, drift=0.0), plan, enough=lambda seconds, look: True)
    found = estimate_ratio(turns.ratios("b", "a"), 0.999999)  # lots may fall unevenly, but hardly so
    assert found.interval.low < 1.0 < found.interval.high


def test_arms_of_different_size_are_compared_per_item() -> None:
    arms = [ARMS[0], Workload("b", lambda: "b", items_per_call=2.0)]
    turns = take_turns(arms, DriftingClock(2.0), PLAN, enough=lambda seconds, look: True)
    assert estimate_ratio(turns.ratios("b", "a"), 0.99).value == pytest.approx(1.0)
