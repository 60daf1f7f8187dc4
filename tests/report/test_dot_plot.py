"""The dot plot."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from perfsuite.report.dot_plot import render_dot_plot


@pytest.mark.parametrize(
    ("change", "labels"),
    [(0.05, ["0 %", "-5.0 %", "+5.0 %"]), (2.7, ["0 %", "3.7 x"]), (1.0, ["0 %", "2.0 x"])],
)
def test_no_label_claims_that_more_than_all_of_the_time_is_gone(change: float, labels: list[str]) -> None:
    svg = ElementTree.fromstring(render_dot_plot([change], 0.01, None, None))  # noqa: S314 - rendered here
    assert [text.text for text in svg.iter("text")] == labels
