"""Stopping sides early, on invented samples."""

from __future__ import annotations

from random import Random

import pytest

from perfsuite.judge.race_elimination import is_time_to_look, sides_to_stop

MARGIN = 0.03


def test_a_side_that_is_always_slower_is_stopped() -> None:
    sides = {"fast": [1.0] * 6, "slow": [1.2] * 6, "slowest": [2.0] * 6}
    assert sides_to_stop(sides, MARGIN) == {"slow", "slowest"}


@pytest.mark.parametrize(
    "sides",
    [
        {"fast": [1.0] * 5, "slow": [9.0] * 5},  # too few blocks for an interval
        {"fast": [1.0] * 6, "slow": [1.02] * 6},  # within the margin
        {"fast": [1.0] * 6, "slow": [1.2] * 5 + [0.9]},  # one block says otherwise
        {"alone": [1.0] * 20},
    ],
)
def test_what_is_not_certain_is_not_stopped(sides: dict[str, list[float]]) -> None:
    assert sides_to_stop(sides, MARGIN) == set()


def test_one_side_always_remains_where_each_is_slower_than_another() -> None:
    circle = {"a": [1.0, 2.0, 3.0] * 8, "b": [2.0, 3.0, 1.0] * 8, "c": [3.0, 1.0, 2.0] * 8}
    assert sides_to_stop(circle, MARGIN) != set(circle)


def test_the_fastest_side_is_hardly_ever_stopped() -> None:
    """Four alike sides, one of them 1 % faster, with noise of 10 %: looks at 6, 10, 14 and 18 blocks."""
    rng, stopped = Random(1), 0
    for _ in range(300):
        sides = {
            name: [speed * rng.lognormvariate(0, 0.1) for _ in range(18)]
            for name, speed in (("best", 0.99), ("b", 1.0), ("c", 1.0), ("d", 1.0))
        }
        looks = [blocks for blocks in range(19) if is_time_to_look(blocks)]
        stopped += any(
            "best" in sides_to_stop({name: values[:blocks] for name, values in sides.items()}, MARGIN)
            for blocks in looks
        )
    assert stopped <= 15  # 5 %
