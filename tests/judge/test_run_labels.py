from __future__ import annotations

from math import comb

import numpy as np
import pytest

from perfsuite.judge.run_labels import (
    are_in_turns,
    can_be_significant,
    drift_inflation,
    fewest_runs_of_each_side,
    labelings,
)


@pytest.mark.parametrize(("old", "new"), [(1, 1), (3, 3), (2, 6), (5, 5)])
def test_every_labeling_occurs_once_and_this_one_first(old: int, new: int) -> None:
    rows = labelings(old, new)
    assert len({tuple(row) for row in rows.tolist()}) == len(rows) == comb(old + new, new)
    assert set(rows.sum(axis=1).tolist()) == {new}
    assert rows[0].tolist() == [False] * old + [True] * new


def test_sampled_labelings_start_with_this_one_and_suffice_for_a_small_alpha() -> None:
    rows = labelings(12, 12, 0.001)
    assert rows[0].tolist() == [False] * 12 + [True] * 12
    assert len(rows) == 20_000
    assert abs(rows[1:].mean(axis=0) - 0.5).max() < 0.02


@pytest.mark.parametrize(("alpha", "runs"), [(0.5, 1), (0.05, 3), (0.01, 5), (0.001, 7), (0.0005, 7)])
def test_the_fewest_runs_are_those_with_enough_labelings(alpha: float, runs: int) -> None:
    assert fewest_runs_of_each_side(alpha) == runs
    assert can_be_significant(runs, runs, alpha)
    assert runs == 1 or not can_be_significant(runs - 1, runs - 1, alpha)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("ABABABABAB", True),
        ("ABBAABBAAB", True),
        ("AAABBBABAB", True),
        ("AAAAABBBBB", False),
        ("BBBBBAAAAA", False),
        ("AAAABABBBB", False),
        ("AB", False),
    ],
)
def test_turns_are_distinguished_from_blocks(order: str, expected: bool) -> None:
    times = {side: [f"{at:02d}" for at, each in enumerate(order) if each == side] for side in "AB"}
    assert are_in_turns(times["A"], times["B"]) is expected


def test_drift_inflation_is_the_variance_under_drift_relative_to_a_random_order() -> None:
    """By simulation of the noise that it is defined for."""
    source, draws, runs = np.random.default_rng(1), 20_000, 10
    noise = np.empty((draws, runs))
    noise[:, 0] = source.normal(size=draws)
    for at in range(1, runs):
        noise[:, at] = 0.9 * noise[:, at - 1] + np.sqrt(1 - 0.9**2) * source.normal(size=draws)
    blocks = noise[:, 5:].mean(axis=1) - noise[:, :5].mean(axis=1)
    shuffled = source.permuted(noise, axis=1)
    random_order = shuffled[:, 5:].mean(axis=1) - shuffled[:, :5].mean(axis=1)
    assert drift_inflation("abcde", "fghij") == pytest.approx(blocks.var() / random_order.var(), rel=0.05)


def test_runs_of_one_moment_may_have_any_order() -> None:
    assert are_in_turns(["t"] * 5, ["t"] * 5)
