"""Counters are exact: any difference is a change, unless a counter is not repeatable."""

from __future__ import annotations

import pytest

from perfsuite.judge.counter_diff import CounterDiff, compare_counters
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.counters.family import Direction

DIRECTIONS = {
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
