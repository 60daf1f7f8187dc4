"""Plots as values: what is drawn, without how. Each is also a table (`figures.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perfsuite.judge.units import MetricKind
from perfsuite.report.page.quantities import PlotKind


@dataclass(frozen=True, slots=True)
class LinePoint:
    """A point with its interval; `name` replaces the number x at the axis and in the table."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class LineSeries:
    """Points that a line connects."""

    name: str
    points: tuple[LinePoint, ...]


@dataclass(frozen=True, slots=True)
class PlotMark:
    """A vertical line with a text, such as a chosen setting or a change point."""

    x: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePlot:
    """Lines with intervals as bars, or as a band where there are many points."""

    title: str
    x_label: str
    y_label: str
    series: tuple[LineSeries, ...]
    kind: PlotKind = MetricKind.NUMBER  # of y
    x_kind: PlotKind = MetricKind.COUNT
    from_zero: bool = True  # whether the y axis begins at 0
    y_range: tuple[float, float] | None = None  # of several plots that share a scale; else that of the points
    has_bands: bool = False
    marks: tuple[PlotMark, ...] = ()
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its interval or deviation."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BarPlot:
    """Horizontal bars from 0. `reference` is a value that a dashed line shows, such as a limit."""

    title: str
    value_label: str
    bars: tuple[Bar, ...]
    kind: PlotKind = MetricKind.NUMBER
    reference: float | None = None
    reference_label: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class StackedBar:
    """Parts that add up; a part has one color in all bars of a plot."""

    name: str
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackedBarPlot:
    """Horizontal bars of parts."""

    title: str
    value_label: str
    bars: tuple[StackedBar, ...]
    kind: PlotKind = MetricKind.NUMBER
    caption: str = ""


@dataclass(frozen=True, slots=True)
class SampleGroup:
    """Samples of one thing, in the order of measurement."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A histogram of each group on one axis, with its median and 95th percentile."""

    title: str
    value_label: str
    groups: tuple[SampleGroup, ...]
    kind: PlotKind = MetricKind.SECONDS
    caption: str = ""


@dataclass(frozen=True, slots=True)
class TimelineSpan:
    """A stretch of time in seconds; spans of one name have one color."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class TimelineLane:
    """What one thread, process or device did."""

    name: str
    spans: tuple[TimelineSpan, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Lanes over one axis of time."""

    title: str
    lanes: tuple[TimelineLane, ...]
    caption: str = ""


AnyPlot = LinePlot | BarPlot | StackedBarPlot | Distribution | Timeline
