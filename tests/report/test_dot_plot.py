"""The plot of pairs: one scale for all plots, everything inside the image, no label over another."""

from __future__ import annotations

import re
from itertools import pairwise
from math import inf
from xml.etree import ElementTree

import pytest

from perfsuite.judge.verdict import Interval
from perfsuite.report.dot_plot import NARROW, WIDE, PairPlot, axis_reach, draw_pairs
from tests.report.page.test_drawing import boxes


def plot_of(*changes: float, interval: Interval | None = None) -> PairPlot:
    return PairPlot(changes=changes, tolerance=0.01, interval=interval)


def dots(svg: str) -> list[float]:
    return [float(x) for x in re.findall(r'class="dot" cx="([^"]*)"', svg)]


@pytest.mark.parametrize(
    ("change", "labels"),
    [(0.05, ["0 %", "-5.0 %", "+5.0 %"]), (2.7, ["0 %", "3.7 x"]), (1.0, ["0 %", "2.0 x"])],
)
def test_no_label_claims_that_more_than_all_of_the_time_is_gone(change: float, labels: list[str]) -> None:
    plot = plot_of(change)
    svg = ElementTree.fromstring(draw_pairs(plot, axis_reach([plot]), WIDE))  # noqa: S314 - rendered here
    assert [text.text for text in svg.iter("text")] == labels


def test_equal_changes_of_two_plots_lie_at_the_same_place() -> None:
    quiet, wild = plot_of(0.01), plot_of(0.01, 0.3)
    reach = axis_reach([quiet, wild])
    assert dots(draw_pairs(quiet, reach, WIDE)) == dots(draw_pairs(wild, reach, WIDE))[:1]
    own = [dots(draw_pairs(plot, axis_reach([plot]), WIDE))[0] for plot in (quiet, wild)]
    assert own[0] != own[1], "with a scale of its own each would show the same change elsewhere"


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("change", [0.0, 0.05, -0.9, 250.0])
def test_labels_are_inside_and_apart(width: float, change: float) -> None:
    plot = plot_of(change)
    found = sorted(boxes(draw_pairs(plot, axis_reach([plot]), width)))
    assert found[0][0] >= 0
    assert found[-1][1] <= width
    assert all(left[1] < right[0] for left, right in pairwise(found))


def test_an_unbounded_interval_ends_at_the_edge() -> None:
    plot = plot_of(0.02, interval=Interval(-inf, inf, 0.99))
    assert axis_reach([plot]) == pytest.approx(0.02)
    numbers = re.findall(r' (?:x[12]?|cx)="([^"]*)"', draw_pairs(plot, axis_reach([plot]), NARROW))
    assert all(0 <= float(number) <= NARROW for number in numbers)
