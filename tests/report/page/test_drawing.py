"""SVG of plots: everything inside the image, no label over another, infinite ends at the edge."""

from __future__ import annotations

import re
from math import inf, nan
from xml.etree import ElementTree

import pytest

from perfsuite.judge.units import MetricKind
from perfsuite.report.page.drawing.canvas import text_width
from perfsuite.report.page.drawing.draw import NARROW, WIDE, draw, legend_of
from perfsuite.report.page.plots import (
    AnyPlot,
    Bar,
    BarPlot,
    Distribution,
    LinePlot,
    LinePoint,
    LineSeries,
    SampleGroup,
    StackedBar,
    StackedBarPlot,
    Timeline,
)
from perfsuite.report.page.quantities import PercentKind
from tests.report.page.sample_document import PLOTS, STAGES, TIMELINE, WORKER_CURVE

EMPTY: list[AnyPlot] = [
    LinePlot(title="t", x_label="x", y_label="y", series=(LineSeries("a", (LinePoint(0, nan),)),)),
    BarPlot(title="t", value_label="v", bars=()),
    StackedBarPlot(title="t", value_label="v", bars=(StackedBar("a", {}),)),
    Distribution(title="t", value_label="v", groups=(SampleGroup("a", ()),)),
    Timeline(title="t", lanes=()),
]


def boxes(svg: str) -> list[tuple[float, float, float, str]]:
    """Left, right and baseline of every text, at the width that characters have at most."""
    found = []
    for text in ElementTree.fromstring(svg).iter("text"):  # noqa: S314 - made here
        content, x = text.text or "", float(text.attrib["x"])
        width = text_width(content)
        begin = x - {"middle": width / 2, "end": width}.get(text.attrib.get("text-anchor", ""), 0.0)
        found.append((begin, begin + width, float(text.attrib["y"]), content))
    return found


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.title)
def test_every_text_is_inside_the_image(plot: AnyPlot, width: float) -> None:
    outside = [box for box in boxes(draw(plot, width)) if box[0] < -12 or box[1] > width + 12]
    assert not outside


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.title)
def test_no_text_is_over_another(plot: AnyPlot, width: float) -> None:
    found = boxes(draw(plot, width))
    over = [
        (one[3], other[3])
        for number, one in enumerate(found)
        for other in found[number + 1 :]
        if abs(one[2] - other[2]) < 10 and one[0] < other[1] - 8 and other[0] < one[1] - 8
    ]
    assert not over


def test_text_over_another_would_be_found() -> None:
    svg = '<svg><text x="0" y="10">one long text</text><text x="30" y="12">another text</text></svg>'
    (one, other) = boxes(svg)
    assert one[1] > other[0]


@pytest.mark.parametrize("plot", EMPTY, ids=lambda plot: type(plot).__name__)
def test_a_plot_without_finite_values_draws_nothing(plot: AnyPlot) -> None:
    assert draw(plot, WIDE) == ""


def test_an_interval_without_a_finite_end_is_not_drawn() -> None:
    def count_lines(low: float, high: float) -> int:
        plot = BarPlot(title="t", value_label="v", bars=(Bar("a", 1.0, low, high),))
        return draw(plot, WIDE).count('class="range"')

    assert count_lines(0.5, 1.5) == count_lines(0.5, inf) == 3
    assert count_lines(-inf, inf) == 0


def test_infinite_intervals_end_at_the_edge() -> None:
    line = LinePlot(
        title="t", x_label="x", y_label="y", series=(LineSeries("a", (LinePoint(0, 1.0, 0.5, inf),)),)
    )
    bar = BarPlot(title="t", value_label="v", bars=(Bar("a", 1.0, -inf, 1.5), Bar("b", inf)))
    for plot in (line, bar):
        numbers = re.findall(r' [xy][12]?="([^"]*)"', draw(plot, WIDE))
        assert all(-1 <= float(number) <= WIDE for number in numbers)


@pytest.mark.parametrize("kind", [*MetricKind, *PercentKind])
@pytest.mark.parametrize("values", [(0.0,), (5.0, 5.0), (1e-9, 1e9), (-3.0, -2.0), (1e300, 1e301)])
def test_any_finite_range_can_be_drawn(kind: MetricKind | PercentKind, values: tuple[float, ...]) -> None:
    points = tuple(LinePoint(number, value) for number, value in enumerate(values))
    line = LinePlot(
        title="t", x_label="x", y_label="y", series=(LineSeries("a", points),), kind=kind, from_zero=False
    )
    bars = BarPlot(title="t", value_label="v", bars=tuple(Bar("a", value) for value in values), kind=kind)
    groups = Distribution(title="t", value_label="v", groups=(SampleGroup("a", values),), kind=kind)
    assert all(draw(plot, NARROW) for plot in (line, bars, groups))


def test_a_line_of_many_points_stays_small() -> None:
    points = tuple(LinePoint(number, number % 17) for number in range(10_000))
    plot = LinePlot(title="t", x_label="x", y_label="y", series=(LineSeries("a", points),))
    assert len(draw(plot, WIDE)) < 40_000


def test_more_workers_are_drawn_further_right_and_more_images_higher() -> None:
    svg = draw(WORKER_CURVE, WIDE)
    places = re.findall(r'class="marker s1" d="M([\d.]+) ([\d.]+)', svg)
    x, y = zip(*((float(a), float(b)) for a, b in places), strict=True)
    assert list(x) == sorted(x)
    assert y[3] < y[0]  # 240/s and 120/s: pixels count downwards


def test_plots_of_one_range_show_a_value_at_one_height() -> None:
    def height_of_one(*others: float, y_range: tuple[float, float] | None) -> str:
        points = tuple(LinePoint(number, value) for number, value in enumerate((1.0, *others)))
        plot = LinePlot(
            title="t",
            x_label="x",
            y_label="y",
            series=(LineSeries("a", points),),
            from_zero=False,
            y_range=y_range,
        )
        return str(re.findall(r'class="marker s1" d="M[\d.]+ ([\d.]+)', draw(plot, WIDE))[0])

    assert height_of_one(2.0, y_range=(0.0, 5.0)) == height_of_one(4.0, y_range=(0.0, 5.0))
    assert height_of_one(1.5, 0.9, y_range=None) != height_of_one(4.0, y_range=None)


def test_a_legend_names_every_color() -> None:
    assert legend_of(STAGES)[:3] == ["read", "decode", "resize"]
    assert legend_of(TIMELINE) == ["load", "forward", "backward"]
    assert legend_of(WORKER_CURVE) == ["threads", "processes"]
    assert legend_of(BarPlot(title="t", value_label="v", bars=(Bar("a", 1.0),))) == []
