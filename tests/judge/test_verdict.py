from __future__ import annotations

import pytest

from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.verdict import Outcome, Verdict, exit_code
from perfsuite.measure.measurement import Measurement


def verdicts(*outcomes: Outcome) -> list[Verdict]:
    return [Verdict("w", "time", outcome, "because") for outcome in outcomes]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], 12),
        ([Outcome.NEW], 12),
        ([Outcome.KEPT], 0),
        ([Outcome.KEPT, Outcome.NEW, Outcome.IMPROVED, Outcome.QUARANTINED], 0),
        ([Outcome.KEPT, Outcome.UNCLEAR], 10),
        ([Outcome.UNCLEAR, Outcome.MISSING], 12),
        ([Outcome.KEPT, Outcome.ERROR], 12),
        ([Outcome.MISSING, Outcome.REGRESSED], 1),
        ([Outcome.UNCLEAR, Outcome.BROKEN], 1),
    ],
)
def test_the_worst_finding_decides_the_exit_code(outcomes: list[Outcome], code: int) -> None:
    assert exit_code(verdicts(*outcomes)) == code


def test_unclear_is_neither_red_nor_green() -> None:
    (unclear,) = verdicts(Outcome.UNCLEAR)
    assert not unclear.is_red
    assert not unclear.is_green


def test_a_workload_is_as_bad_as_its_worst_limit() -> None:
    seen = Measurement("w", (1.0,))
    assert WorkloadRunResult(seen).outcome is None
    both = WorkloadRunResult(seen, tuple(verdicts(Outcome.KEPT, Outcome.BROKEN)))
    assert both.outcome is Outcome.BROKEN
