"""The number of further pairs that an unclear workload is said to need."""

from __future__ import annotations

import pytest

from perfsuite.judge.pairs_needed import count_missing_pairs
from perfsuite.judge.sequential_rule import SequentialRule, decide, minimum_detectable_effect
from perfsuite.judge.verdict import Outcome

RULE = SequentialRule(workloads=1)


@pytest.mark.parametrize(("pairs", "spread"), [(2, 0.004), (2, 0.008), (2, 0.012), (4, 0.016), (4, 0.02)])
def test_as_many_more_pairs_like_these_reach_the_mde(pairs: int, spread: float) -> None:
    ratios = [spread, -spread] * (pairs // 2)
    decision = decide(RULE, ratios, is_final=True)
    assert decision.outcome is Outcome.UNCLEAR
    missing = count_missing_pairs(decision, RULE, ratios, RULE.tolerance).missing_pairs
    assert missing is not None
    assert missing >= 1
    after = [spread, -spread] * ((pairs + missing + 1) // 2)
    mde = minimum_detectable_effect(RULE, after[: pairs + missing])
    assert mde <= RULE.required_mde(RULE.tolerance)
