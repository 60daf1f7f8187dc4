"""Counters are exact: any difference is a change, unless a counter is not repeatable."""

from __future__ import annotations

import pytest

from perfsuite.judge.counter_diff import CounterDiff, compare_counters, describe_kernels
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.counters.family import Direction

DIRECTIONS = {
    "kernel_launches": Direction.LESS_IS_BETTER,
    "device_kernels": Direction.LESS_IS_BETTER,
    "casts": Direction.LESS_IS_BETTER,
    "copies": Direction.LESS_IS_BETTER,
    "cache_hits": Direction.MORE_IS_BETTER,
}


def verdicts(old: list[dict[str, int]], new: list[dict[str, int]]) -> dict[str, Verdict]:
    diff = compare_counters("t", old, new, DIRECTIONS)
    return {verdict.metric: verdict for verdict in diff.verdicts("t")}


@pytest.mark.parametrize(
    ("before", "after", "metric", "outcome"),
    [
        ({"casts": 2}, {"casts": 3}, "casts", Outcome.REGRESSED),
        ({"casts": 3}, {"casts": 2}, "casts", Outcome.IMPROVED),
        ({"casts": 2}, {"casts": 2}, "counters", Outcome.KEPT),
        ({"casts": 0}, {"casts": 1}, "casts", Outcome.REGRESSED),
        ({"casts": 1}, {"copies": 1, "casts": 1}, "copies", Outcome.REGRESSED),
        ({"casts": 1, "copies": 1}, {"casts": 1}, "copies", Outcome.IMPROVED),
        ({"frames": 3}, {"frames": 2}, "frames", Outcome.UNCLEAR),
        ({"cache_hits": 3}, {"cache_hits": 2}, "cache_hits", Outcome.REGRESSED),
        ({"cache_hits": 2}, {"cache_hits": 3}, "cache_hits", Outcome.IMPROVED),
    ],
)
def test_a_difference_of_one_is_a_change(
    before: dict[str, int], after: dict[str, int], metric: str, outcome: Outcome
) -> None:
    assert verdicts([before], [after])[metric].outcome is outcome


def test_a_counter_that_differs_between_equal_calls_varies() -> None:
    found = verdicts([{"casts": 2}, {"casts": 3}], [{"casts": 9}, {"casts": 9}])
    assert {key: each.outcome for key, each in found.items()} == {"casts": Outcome.VARIES}


def test_stable_and_unstable_counters_are_listed() -> None:
    diff = compare_counters("t", [{"casts": 1, "copies": 1}] * 2, [{"casts": 1}, {"casts": 2}], DIRECTIONS)
    assert diff.stable == {"copies": (1, 0)}
    assert diff.unstable == {"casts": (1, 2)}


def test_a_side_without_counters_is_not_compared() -> None:
    assert compare_counters("t", [], [{"casts": 3}], DIRECTIONS) == CounterDiff()
    assert verdicts([], [{"casts": 3}]) == {}
    assert verdicts([{"casts": 3}], []) == {}


def test_what_varies_does_not_fail_and_does_not_hide_a_change() -> None:
    found = verdicts([{"casts": 2, "copies": 1}, {"casts": 3, "copies": 1}], [{"casts": 9, "copies": 2}])
    assert {key: each.outcome for key, each in found.items()} == {
        "casts": Outcome.VARIES,
        "copies": Outcome.REGRESSED,
    }


def test_many_values_are_cut_to_a_readable_length() -> None:
    [verdict] = compare_counters("t", [{"casts": n} for n in range(50)], [{"casts": 1}], {}).verdicts("t")
    assert "0, 1, 2, 3, 4, 5 and 44 more" in verdict.reason


@pytest.mark.parametrize(
    ("old", "new", "side"),
    [({"kernel_launches": 9}, {"casts": 0}, "base"), ({"casts": 0}, {"kernel_launches": 9}, "head")],
)
def test_a_counter_of_a_device_that_one_side_could_not_count_is_unclear(
    old: dict[str, int], new: dict[str, int], side: str
) -> None:
    """A head whose profiler is blind, or that uses no device, has not improved."""
    found = verdicts([old] * 2, [new] * 2)["kernel_launches"]
    assert found.outcome is Outcome.UNCLEAR
    assert found.reason == f"counted on {side} alone, expected both sides"


def test_a_counter_of_a_device_that_older_runs_have_as_zero_is_equal() -> None:
    found = verdicts([{"kernel_launches": 0, "casts": 1}], [{"casts": 1}])
    assert {key: each.outcome for key, each in found.items()} == {"counters": Outcome.KEPT}


ADD, MUL = "kernel: add", "kernel: mul"


def test_kernels_explain_a_change_of_launches() -> None:
    old, new = {"kernel_launches": 2, ADD: 1, MUL: 1}, {"kernel_launches": 3, ADD: 3}
    found = verdicts([old], [new])
    assert found["kernel_launches"].explanation == "2 -> 3 (+1), exact; kernels: +2 add, -1 mul"
    assert set(found) == {"kernel_launches"}, "a kernel has no verdict of its own"


def test_kernels_explain_no_other_counter() -> None:
    old, new = {"casts": 1, ADD: 1}, {"casts": 2, ADD: 2}
    assert verdicts([old], [new])["casts"].explanation == "1 -> 2 (+1), exact"


def test_of_many_kernels_some_are_named() -> None:
    new = {f"kernel: k{number}": number for number in range(6)}
    assert describe_kernels({}, new) == "+5 k5, +4 k4, +3 k3, and 2 more"
