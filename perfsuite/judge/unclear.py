"""What an unclear workload shows, and how many further pairs would decide it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from perfsuite.judge.detectable_effect import forecast_spread
from perfsuite.judge.sequential_rule import (
    MIN_PAIRS_TO_KEEP,
    MOST_PAIRS,
    Decision,
    SequentialRule,
    detectable_deviations,
    significant_outcome,
)
from perfsuite.judge.verdict import Interval, Outcome

MAX_ADVISED_PAIRS = MOST_PAIRS  # of one workload


def explain_unclear(
    decision: Decision,
    rule: SequentialRule,
    log_ratios: Sequence[float],
    tolerance: float,
    error: float = 0.0,
) -> Decision:
    """The decision, with a reason that states the estimate and what is missing, where it is unclear.

    >>> from perfsuite.judge.sequential_rule import decide
    >>> rule, pairs = SequentialRule(workloads=1), [0.40, 0.42, 0.44, 0.43, 0.41, 0.42]
    >>> explain_unclear(decide(rule, pairs, spent=True), rule, pairs, rule.tolerance).reason
    'looks 52.2 % slower (49.2 to 55.3); 2 more pairs are needed to promise 1 %'
    """
    if decision.outcome is not Outcome.UNCLEAR:
        return decision
    missing: int | None
    if decision.interval is None:  # fewer than two pairs
        missing = MIN_PAIRS_TO_KEEP - len(log_ratios)
        seen = "timed in one pair only" if log_ratios else "not timed"
        return replace(decision, reason=_reason(seen, missing, "to decide"), missing_pairs=missing)
    if decision.interval.low > 0 or decision.interval.high < 0:
        change = abs(decision.estimate)
        word = "slower" if decision.interval.low > 0 else "faster"
        seen = f"looks {100 * change:.1f} % {word} ({_size_range(decision.interval)})"
        aim = f"to promise {100 * rule.alpha:.2g} %"
        missing = _pairs_to_report_change(rule, log_ratios, tolerance)
    else:
        required = rule.required_mde(tolerance)
        hidden = (
            "of any size" if math.isinf(decision.mde) else f"below {100 * max(decision.mde, required):.1f} %"
        )
        low, high = (100 * edge for edge in (decision.interval.low, decision.interval.high))
        seen = f"no change seen ({low:+.1f} to {high:+.1f} %), but a slowdown {hidden} could be missed"
        aim = f"to find {100 * required:.1f} %"
        missing = _pairs_to_reach_mde(rule, log_ratios, tolerance, error)
    return replace(decision, reason=_reason(seen, missing, aim), missing_pairs=missing)


def _reason(seen: str, missing: int | None, aim: str) -> str:
    if missing is None:
        return f"{seen}; its pairs scatter too much {aim} within {MAX_ADVISED_PAIRS} pairs"
    return f"{seen}; {missing} more {'pair is' if missing == 1 else 'pairs are'} needed {aim}"


def _size_range(interval: Interval) -> str:
    """The interval as sizes of the change, the smaller one first."""
    low, high = sorted(100 * abs(edge) for edge in (interval.low, interval.high))
    return f"{low:.1f} to {high:.1f}"


def _pairs_to_report_change(
    rule: SequentialRule, log_ratios: Sequence[float], tolerance: float
) -> int | None:
    """Further pairs after which the change is reported, if they repeat those so far."""
    for max_pairs in (rule.max_pairs, MAX_ADVISED_PAIRS):
        longer = replace(rule, max_pairs=min(max_pairs, MAX_ADVISED_PAIRS))
        for look, share in longer.alpha_by_look.items():
            repeated = [log_ratios[number % len(log_ratios)] for number in range(look)]
            if look > len(log_ratios) and significant_outcome(repeated, tolerance, share):
                return look - len(log_ratios)
    return None


def _pairs_to_reach_mde(
    rule: SequentialRule, log_ratios: Sequence[float], tolerance: float, error: float
) -> int | None:
    """Further pairs after which the MDE is as small as required, at the spread of those so far.

    Each further pair narrows the margins that few pairs have. A larger number of pairs in all narrows the MDE
    by its square root.
    """
    pairs = len(log_ratios)
    fewest = rule.next_look(pairs) or pairs + 1
    room = math.log1p(rule.required_mde(tolerance)) - math.log1p(tolerance)
    if not rule.alpha_by_look:
        return fewest - pairs if fewest <= MAX_ADVISED_PAIRS else None
    reach = detectable_deviations(rule)
    for more in range(pairs + 1, rule.max_pairs + 1):
        if reach * forecast_spread(log_ratios, more, error) <= room:
            return max(more, fewest) - pairs
    spread = forecast_spread(log_ratios, rule.max_pairs, error)
    needed = rule.max_pairs * (reach * spread / room) ** 2
    return max(1, math.ceil(needed) - pairs) if needed <= MAX_ADVISED_PAIRS else None
