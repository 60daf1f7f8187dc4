"""How many further pairs would decide what is unclear."""

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
    significant_outcome,
)
from perfsuite.judge.verdict import Outcome


def count_missing_pairs(
    decision: Decision,
    rule: SequentialRule,
    log_ratios: Sequence[float],
    tolerance: float,
    error: float = 0.0,
) -> Decision:
    """The decision with the number of missing pairs, where it is unclear; None if no number helps.

    >>> from perfsuite.judge.sequential_rule import decide
    >>> rule, pairs = SequentialRule(workloads=1), [0.40, 0.42, 0.44, 0.43, 0.41, 0.42]
    >>> unclear = decide(rule, pairs, is_final=True)
    >>> count_missing_pairs(unclear, rule, pairs, rule.tolerance).missing_pairs
    2
    """
    if decision.outcome is not Outcome.UNCLEAR:
        return decision
    if decision.interval is None:  # fewer than two pairs
        missing: int | None = MIN_PAIRS_TO_KEEP - len(log_ratios)
    elif decision.looks_changed:
        missing = _pairs_to_report_change(rule, log_ratios, tolerance)
    else:
        missing = _pairs_to_reach_mde(rule, log_ratios, tolerance, error)
    return replace(decision, missing_pairs=missing)


def _pairs_to_report_change(
    rule: SequentialRule, log_ratios: Sequence[float], tolerance: float
) -> int | None:
    """Further pairs after which the change is reported, if they repeat those so far."""
    for max_pairs in (rule.max_pairs, MOST_PAIRS):
        longer = replace(rule, max_pairs=min(max_pairs, MOST_PAIRS))
        for look, alpha in longer.alpha_by_look.items():
            repeated = [log_ratios[number % len(log_ratios)] for number in range(look)]
            if look > len(log_ratios) and significant_outcome(repeated, tolerance, alpha):
                return look - len(log_ratios)
    return None


def _pairs_to_reach_mde(
    rule: SequentialRule, log_ratios: Sequence[float], tolerance: float, error: float
) -> int | None:
    """Further pairs after which the MDE is as small as required, at the spread of those so far.

    Each further pair narrows the margins that few pairs have.
    """
    pairs = len(log_ratios)
    fewest = rule.next_look(pairs) or pairs + 1
    room = math.log1p(rule.required_mde(tolerance)) - math.log1p(tolerance)
    if not rule.alpha_by_look:
        return fewest - pairs if fewest <= MOST_PAIRS else None
    reach = rule.detectable_spreads
    for more in range(pairs + 1, rule.max_pairs + 1):
        if reach * forecast_spread(log_ratios, more, error) <= room:
            return max(more, fewest) - pairs
    spread = forecast_spread(log_ratios, rule.max_pairs, error)
    needed = pairs_to_narrow(rule.max_pairs, reach * spread, room)
    return None if needed is None else max(1, needed - pairs)


def pairs_to_narrow(pairs: int, mde: float, wanted: float) -> int | None:
    """The pairs that find `wanted`, where `pairs` find `mde`; None where they are too many.

    What is found falls with the square root of the pairs. Both are logarithms, beyond the tolerance.

    >>> pairs_to_narrow(20, 0.02, 0.01), pairs_to_narrow(20, 0.02, 0.0001)
    (80, None)
    """
    needed = math.ceil(pairs * (mde / wanted) ** 2)
    return needed if needed <= MOST_PAIRS else None
