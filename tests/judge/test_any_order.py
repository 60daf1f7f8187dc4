"""The promise of the rule whatever the order and the number of pairs (docs/decisions/0024)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from perfsuite.judge.sequential_rule import SequentialRule, decide, significant_outcome
from perfsuite.judge.verdict import Outcome

GATES = 300
RULE = SequentialRule(workloads=2, alpha=0.2, tolerance=0.0, max_pairs=14)

# When the time of a workload ends, chosen by somebody who sees its pairs: the worst case for any schedule.
Stop = Callable[[Sequence[float]], bool]


def never(pairs: Sequence[float]) -> bool:
    return False


def when_it_looks_slow(pairs: Sequence[float]) -> bool:
    return len(pairs) >= 4 and sum(value > 0 for value in pairs) >= 0.75 * len(pairs)


def when_the_rest_of_alpha_would_do(pairs: Sequence[float]) -> bool:
    return unspent_alpha_reports(pairs)


def pairs_of_equal_code(rng: random.Random) -> list[float]:
    """Sizes with outliers, signs by coin."""
    return [rng.choice((1, -1)) * rng.expovariate(50) for _ in range(RULE.max_pairs)]


def reported(pairs: Sequence[float]) -> bool:
    """By the rule that ships: at its looks, however many pairs there were time for."""
    looks = [(look, share) for look, share in RULE.alpha_by_look.items() if look <= len(pairs)]
    return any(significant_outcome(pairs[:look], 0.0, share) is Outcome.REGRESSED for look, share in looks)


def unspent_alpha_reports(pairs: Sequence[float]) -> bool:
    """By the previous rule: also at the moment when the time ends, with the shares of the looks to come."""
    share = sum(share for look, share in RULE.alpha_by_look.items() if look > len(pairs))
    return reported(pairs) or significant_outcome(pairs, 0.0, share) is Outcome.REGRESSED


def alarms(stop: Stop, judge: Callable[[Sequence[float]], bool]) -> int:
    rng, found = random.Random(24), 0
    for _ in range(GATES):
        workloads = [pairs_of_equal_code(rng) for _ in range(RULE.workloads)]
        rng.shuffle(workloads)
        found += any(judge(timed(pairs, stop)) for pairs in workloads)
    return found


def timed(pairs: list[float], stop: Stop) -> list[float]:
    """The pairs that a workload gets before its time ends."""
    return next((pairs[:number] for number in range(1, len(pairs)) if stop(pairs[:number])), pairs)


@pytest.mark.parametrize("stop", [never, when_it_looks_slow, when_the_rest_of_alpha_would_do])
def test_false_alarms_stay_below_alpha_whenever_the_time_ends(stop: Stop) -> None:
    assert alarms(stop, reported) <= 81, "60, and three deviations"


def test_a_test_at_the_moment_when_the_time_ends_breaks_the_promise() -> None:
    """The negative control: 81 here."""
    assert alarms(when_the_rest_of_alpha_would_do, unspent_alpha_reports) > 74, "and two"


def test_the_rule_reports_nothing_between_its_looks() -> None:
    rule = SequentialRule(workloads=1)
    slow = [0.3 + 0.001 * number for number in range(8)]
    assert decide(rule, slow).outcome is Outcome.REGRESSED
    for pairs in range(2, 8):
        assert decide(rule, slow[:pairs], is_final=True).outcome is Outcome.UNCLEAR
