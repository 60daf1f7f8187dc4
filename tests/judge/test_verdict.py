from __future__ import annotations

import pytest

from perfsuite.errors import ExitCode
from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.verdict import (
    SEVERITY,
    Outcome,
    Verdict,
    count_by_outcome,
    exit_code,
    severity,
    sort_by_severity,
    worst,
)
from perfsuite.measure.measurement import Measurement


def verdicts(*outcomes: Outcome) -> list[Verdict]:
    return [Verdict("w", "time", outcome, "because") for outcome in outcomes]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], 12),
        ([Outcome.NEW], 12),
        ([Outcome.NEW, Outcome.VARIES], 12),
        ([Outcome.KEPT, Outcome.VARIES], 0),
        ([Outcome.UNCLEAR, Outcome.VARIES], 10),
        ([Outcome.KEPT], 0),
        ([Outcome.KEPT, Outcome.NEW, Outcome.IMPROVED, Outcome.QUARANTINED], 0),
        ([Outcome.KEPT, Outcome.UNCLEAR], 10),
        ([Outcome.UNCLEAR, Outcome.MISSING], 12),
        ([Outcome.KEPT, Outcome.ERROR], 12),
        ([Outcome.MISSING, Outcome.REGRESSED], 1),
        ([Outcome.UNCLEAR, Outcome.BROKEN], 1),
    ],
)
def test_the_worst_outcome_decides_the_exit_code(outcomes: list[Outcome], code: int) -> None:
    assert exit_code(verdicts(*outcomes)) == code


def test_unclear_is_neither_red_nor_green() -> None:
    (unclear,) = verdicts(Outcome.UNCLEAR)
    assert not unclear.is_red
    assert not unclear.is_green


def test_the_outcome_of_a_workload_is_that_of_its_worst_limit() -> None:
    seen = Measurement("w", (1.0,))
    assert WorkloadRunResult(seen).outcome is None
    both = WorkloadRunResult(seen, tuple(verdicts(Outcome.KEPT, Outcome.BROKEN)))
    assert both.outcome is Outcome.BROKEN


def test_severity_orders_all_outcomes() -> None:
    assert sorted(SEVERITY) == sorted(Outcome)


COMPARED = [outcome for outcome in Outcome if outcome not in (Outcome.NEW, Outcome.VARIES)]


@pytest.mark.parametrize("first", COMPARED)
@pytest.mark.parametrize("second", COMPARED)
def test_the_severity_order_agrees_with_the_exit_code(first: Outcome, second: Outcome) -> None:
    """The exit code of two outcomes is that of the worse. NEW and VARIES alone compare nothing."""
    assert exit_code(verdicts(first, second)) == exit_code(verdicts(min(first, second, key=severity)))


def test_every_report_lists_the_largest_change_first() -> None:
    """In both directions, and for a limit by name: its estimate is a value, not a change."""
    changes = [
        Verdict("a", "time", Outcome.IMPROVED, "", estimate=-0.1),
        Verdict("b", "time", Outcome.IMPROVED, "", estimate=-0.5),
        Verdict("c", "peak_memory", Outcome.BROKEN, "", estimate=1e6, bound=1.0),
        Verdict("d", "peak_memory", Outcome.BROKEN, "", estimate=1e9, bound=1.0),
        Verdict("e", "time", Outcome.REGRESSED, "", estimate=0.1),
    ]
    assert [verdict.workload for verdict in sort_by_severity(changes)] == ["e", "c", "d", "b", "a"]
    assert worst(changes).workload == "e"
    assert list(count_by_outcome(changes).values()) == [1, 2, 2]


def test_exit_codes_are_those_of_the_documentation() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "KEPT": 0,
        "REGRESSED": 1,
        "USAGE": 2,
        "INTERNAL": 3,
        "UNCLEAR": 10,
        "UNFIT": 11,
        "NOT_COMPARED": 12,
        "UNREADABLE": 13,
        "INTERRUPTED": 130,
    }
