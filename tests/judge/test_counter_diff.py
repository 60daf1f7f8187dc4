"""Counters are exact: any difference is a finding, unless a counter does not repeat itself."""

from __future__ import annotations

import pytest

from perfsuite.judge import counter_diff
from perfsuite.judge.verdict import Outcome, Verdict

LESS = frozenset({"casts", "copies"})


def judged(old: list[dict[str, int]], new: list[dict[str, int]]) -> dict[str, Verdict]:
    return {each.metric: each for each in counter_diff.judge_counters("t", old, new, LESS)}


@pytest.mark.parametrize(
    ("before", "after", "metric", "outcome"),
    [
        ({"casts": 2}, {"casts": 3}, "casts", Outcome.REGRESSED),
        ({"casts": 3}, {"casts": 2}, "casts", Outcome.IMPROVED),
        ({"casts": 2}, {"casts": 2}, "counters", Outcome.KEPT),
        ({"casts": 0}, {"casts": 1}, "casts", Outcome.REGRESSED),
        ({"casts": 1}, {"copies": 1, "casts": 1}, "copies", Outcome.REGRESSED),
        ({"casts": 1, "copies": 1}, {"casts": 1}, "copies", Outcome.IMPROVED),
        ({"cache_hits": 3}, {"cache_hits": 2}, "cache_hits", Outcome.UNCLEAR),
    ],
)
def test_one_more_or_less(
    before: dict[str, int], after: dict[str, int], metric: str, outcome: Outcome
) -> None:
    assert judged([before], [after])[metric].outcome is outcome


def test_a_counter_that_does_not_repeat_itself_is_shown_and_never_judged() -> None:
    found = judged([{"casts": 2}, {"casts": 3}], [{"casts": 9}, {"casts": 9}])
    assert {key: each.outcome for key, each in found.items()} == {"casts": Outcome.QUARANTINED}


def test_a_side_without_counters_is_not_compared() -> None:
    assert judged([], [{"casts": 3}]) == {}
    assert judged([{"casts": 3}], []) == {}
