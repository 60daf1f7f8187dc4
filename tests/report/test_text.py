"""Text that all formats share."""

from __future__ import annotations

import pytest

from perfsuite.judge.verdict import Outcome, sort_by_severity
from perfsuite.report.text import format_change
from tests.report.sample_reports import make_verdict


def test_larger_changes_come_first_within_an_outcome() -> None:
    verdicts = [make_verdict(name, Outcome.REGRESSED, size) for name, size in (("a", 0.1), ("b", 0.5))]
    assert [each.workload for each in sort_by_severity(verdicts)] == ["b", "a"]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.0, "+0.0 %"), (-0.123, "-12.3 %"), (9.0, "10.0 x"), (float("inf"), "any"), (None, "")],
)
def test_a_change_is_a_percentage_or_a_factor(ratio: float | None, text: str) -> None:
    assert format_change(ratio) == text
