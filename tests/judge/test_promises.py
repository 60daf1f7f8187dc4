"""A short form of docs/results/promises.md, with the previous rule as the planted fault."""

from __future__ import annotations

import pytest

from benchmarks.judge.compare_promise import SETTINGS, count_errors, present_rule, previous_rule
from benchmarks.judge.detectable_promise import SHAPES as PAIR_SHAPES
from benchmarks.judge.detectable_promise import count_detected
from benchmarks.judge.noise import SHAPES
from benchmarks.judge.promises_page import render, share
from perfsuite.judge import detectable_effect

TWO_SPEEDS = "10 % slow, one process in two"


@pytest.mark.parametrize("shape", [TWO_SPEEDS, "log-normal"])
def test_false_alarms_on_equal_code_stay_near_one_percent(shape: str) -> None:
    counts = count_errors(SHAPES[shape], SETTINGS[0], 40, 1, present_rule)
    # P(more than 4 of 40) is below 0.01 % where the truth is 1 %.
    assert counts.alarms <= 4
    assert counts.improvements <= 4


def test_the_previous_rule_fails_the_test_above() -> None:
    assert count_errors(SHAPES[TWO_SPEEDS], SETTINGS[0], 20, 1, previous_rule).alarms > 5


@pytest.mark.parametrize("shape", ["AR .9", "recorded, idle"])
def test_a_slowdown_of_the_printed_mde_is_found(shape: str) -> None:
    counts = count_detected(PAIR_SHAPES[shape], 40, 1)
    # P(fewer than 29 of 40) is below 0.2 % where the truth is 88 %.
    assert counts.found >= 29
    assert counts.kept >= 30


def test_an_mde_that_is_too_small_fails_the_test_above(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: four pairs then count with half of their spread."""
    monkeypatch.setattr(detectable_effect, "FEW_PAIRS_MARGIN", -5.0)
    assert count_detected(PAIR_SHAPES["AR .9"], 40, 1).found < 29


def test_slow_processes_that_four_pairs_do_not_show_are_a_stated_gap() -> None:
    shape = PAIR_SHAPES["10 % slow, one process in five"]
    assert not shape.is_promised
    counts = count_detected(shape, 60, 1)
    assert counts.found_of_kept < 0.88 * counts.kept


def test_the_page_states_shares_with_their_intervals() -> None:
    row = {
        "shape": "s",
        "setting": "r",
        "comparisons": 1000,
        "alarms": 8,
        "improvements": 0,
        "all_unclear": 10,
    }
    assert "| s | r | 1000 | 0.8 % (0.3-1.6) | 0.0 % (0.0-0.4) | 1% |" in render({"errors": [row]})
    assert share(1000, 1000) == "100.0 % (99.6-100.0)"
