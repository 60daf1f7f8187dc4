"""The words of a verdict follow from the decision, and say what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfsuite.judge.pair_verdict import pair_verdict
from perfsuite.judge.pairs_needed import count_missing_pairs
from perfsuite.judge.sequential_rule import Decision, SequentialRule, decide
from perfsuite.judge.verdict import Interval, Outcome, Verdict

RULE = SequentialRule(workloads=1)
SLOWER = Decision(
    outcome=Outcome.REGRESSED, pairs=8, estimate=0.123, interval=Interval(0.1, 0.14, 0.95), mde=0.03
)
UNCLEAR = replace(SLOWER, outcome=Outcome.UNCLEAR, missing_pairs=2)
QUIET = replace(SLOWER, outcome=Outcome.KEPT, estimate=0.002, interval=Interval(-0.01, 0.02, 0.95))
HIDDEN = replace(QUIET, outcome=Outcome.UNCLEAR, mde=0.08, missing_pairs=1)


def verdict(decision: Decision, tolerance: float = RULE.tolerance) -> Verdict:
    return pair_verdict("t", decision, RULE, tolerance)


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (SLOWER, "12.3% slower, tolerance 1.0%"),
        (replace(SLOWER, outcome=Outcome.IMPROVED, estimate=-0.2), "20.0% faster, tolerance 1.0%"),
        (QUIET, "within 1.0%; 3.0% would have been detected"),
        (replace(QUIET, estimate=0.012), "no slowdown beyond 1.0% shown; 3.0% would have been detected"),
        (UNCLEAR, "looks 12.3 % slower (10.0 to 14.0); 2 more pairs are needed to promise 1 %"),
        (
            replace(UNCLEAR, estimate=-0.12, interval=Interval(-0.14, -0.1, 0.95), missing_pairs=None),
            "looks 12.0 % faster (10.0 to 14.0); its pairs scatter too much to promise 1 % within 120 pairs",
        ),
        (
            HIDDEN,
            "no change seen (-1.0 to +2.0 %), but a slowdown below 8.0 % could be missed; "
            "1 more pair is needed to find 5.0 %",
        ),
        (
            replace(HIDDEN, mde=float("inf"), missing_pairs=9),
            "no change seen (-1.0 to +2.0 %), but a slowdown of any size could be missed; "
            "9 more pairs are needed to find 5.0 %",
        ),
    ],
)
def test_the_reason_of_a_decision(decision: Decision, reason: str) -> None:
    assert verdict(decision).reason == reason
    assert verdict(decision).outcome is decision.outcome


@pytest.mark.parametrize(
    ("ratios", "reason"),
    [
        ([], "not timed; 4 more pairs are needed to decide"),
        ([0.1], "timed in one pair only; 3 more pairs are needed to decide"),
        (
            [0.40, 0.42, 0.44, 0.43, 0.41, 0.42],
            "looks 52.2 % slower (49.2 to 55.3); 2 more pairs are needed to promise 1 %",
        ),
    ],
)
def test_the_reason_of_pairs_that_are_too_few(ratios: list[float], reason: str) -> None:
    decision = count_missing_pairs(decide(RULE, ratios, is_final=True), RULE, ratios, RULE.tolerance)
    assert verdict(decision).reason == reason


def test_what_was_not_timed_has_no_numbers() -> None:
    nothing = verdict(decide(RULE, [], is_final=True))
    assert (nothing.estimate, nothing.interval, nothing.mde) == (None, None, None)
    once = verdict(decide(RULE, [0.0], is_final=True))
    assert (once.estimate, once.interval, once.mde) == (0.0, None, float("inf"))


def test_numbers_of_the_decision_and_the_tolerance_are_those_of_the_verdict() -> None:
    found = verdict(UNCLEAR, tolerance=0.03)
    assert (found.estimate, found.interval, found.mde) == (UNCLEAR.estimate, UNCLEAR.interval, UNCLEAR.mde)
    assert (found.bound, found.missing_pairs, found.metric) == (0.03, 2, "time")
