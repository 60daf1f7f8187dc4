from __future__ import annotations

import pytest

from perfsuite.judge import acceptance
from perfsuite.judge.acceptance import refused_verdicts
from perfsuite.judge.stored_runs import ComparisonReport
from perfsuite.judge.verdict import Interval, Outcome, Verdict


def verdict(outcome: Outcome, low: float | None = None, high: float | None = None) -> Verdict:
    interval = None if low is None or high is None else Interval(low, high, 0.98)
    return Verdict("t", "time", outcome, "", interval=interval, bound=0.01)


@pytest.mark.parametrize(
    ("found", "accepted", "accepted_of_same_code"),
    [
        (verdict(Outcome.KEPT), True, True),
        (verdict(Outcome.IMPROVED, -0.2, -0.1), True, True),
        (verdict(Outcome.REGRESSED, 0.1, 0.2), False, False),
        (verdict(Outcome.MISSING), False, False),
        (verdict(Outcome.UNCLEAR), False, True),
        (verdict(Outcome.UNCLEAR, -0.2, 0.2), False, True),
        (verdict(Outcome.UNCLEAR, 0.1, 0.2), False, False),
        (verdict(Outcome.UNCLEAR, -0.2, -0.1), True, True),
    ],
)
def test_what_is_not_green_is_refused_unless_it_is_harmless(
    found: Verdict, accepted: bool, accepted_of_same_code: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "compare_runs", lambda *_: ComparisonReport((found,)))
    assert (refused_verdicts([], [], []) == []) is accepted
    assert (refused_verdicts([], [], [], same_code=True) == []) is accepted_of_same_code
    assert refused_verdicts([], [], [], dropped=frozenset({"t"})) == []
