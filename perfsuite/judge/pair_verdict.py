"""The verdict on the time of one workload of a gate: the decision on its pairs, in words."""

from __future__ import annotations

import math

from perfsuite.judge.sequential_rule import MOST_PAIRS, Decision, SequentialRule
from perfsuite.judge.verdict import Interval, Outcome, Verdict


def pair_verdict(workload: str, decision: Decision, rule: SequentialRule, tolerance: float) -> Verdict:
    """The verdict, with a reason that states what the pairs show and, where it is unclear, what is missing.

    >>> from perfsuite.judge.sequential_rule import decide
    >>> rule = SequentialRule(workloads=1)
    >>> pair_verdict("t", decide(rule, [0.40, 0.42] * 6), rule, rule.tolerance).reason
    '50.7% slower, tolerance 1.0%'
    """
    has_pairs = decision.pairs > 0
    return Verdict(
        workload=workload,
        metric="time",
        outcome=decision.outcome or Outcome.UNCLEAR,
        reason=_reason(decision, rule, tolerance),
        estimate=decision.estimate if has_pairs else None,
        interval=decision.interval,
        bound=tolerance,
        mde=decision.mde if has_pairs else None,
        missing_pairs=decision.missing_pairs,
    )


def _reason(decision: Decision, rule: SequentialRule, tolerance: float) -> str:
    if decision.outcome in {Outcome.REGRESSED, Outcome.IMPROVED}:
        word = "slower" if decision.outcome is Outcome.REGRESSED else "faster"
        return f"{abs(decision.estimate):.1%} {word}, tolerance {tolerance:.1%}"
    if decision.outcome is Outcome.KEPT:
        is_within = abs(decision.estimate) <= tolerance
        found = f"within {tolerance:.1%}" if is_within else f"no slowdown beyond {tolerance:.1%} shown"
        return f"{found}; {decision.mde:.1%} would have been detected"
    return _unclear_reason(decision, rule, tolerance)


def _unclear_reason(decision: Decision, rule: SequentialRule, tolerance: float) -> str:
    interval, required = decision.interval, rule.required_mde(tolerance)
    if interval is None:  # fewer than two pairs
        shown = "timed in one pair only" if decision.pairs else "not timed"
        return _with_missing_pairs(shown, decision.missing_pairs, "to decide")
    if decision.looks_changed:
        word = "slower" if interval.low > 0 else "faster"
        shown = f"looks {100 * abs(decision.estimate):.1f} % {word} ({_size_range(interval)})"
        return _with_missing_pairs(shown, decision.missing_pairs, f"to promise {100 * rule.alpha:.2g} %")
    hidden = "of any size" if math.isinf(decision.mde) else f"below {100 * max(decision.mde, required):.1f} %"
    low, high = (100 * edge for edge in (interval.low, interval.high))
    shown = f"no change seen ({low:+.1f} to {high:+.1f} %), but a slowdown {hidden} could be missed"
    return _with_missing_pairs(shown, decision.missing_pairs, f"to find {100 * required:.1f} %")


def _with_missing_pairs(shown: str, missing: int | None, aim: str) -> str:
    if missing is None:
        return f"{shown}; its pairs scatter too much {aim} within {MOST_PAIRS} pairs"
    return f"{shown}; {missing} more {'pair is' if missing == 1 else 'pairs are'} needed {aim}"


def _size_range(interval: Interval) -> str:
    """The interval as sizes of the change, the smaller one first."""
    low, high = sorted(100 * abs(edge) for edge in (interval.low, interval.high))
    return f"{low:.1f} to {high:.1f}"
