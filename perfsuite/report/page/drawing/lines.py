"""Line plots: a point for each measurement, an error bar or a band for its interval."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite

from perfsuite.report.page.drawing.canvas import Canvas, Scale, color_class, finite, shorten, text_width
from perfsuite.report.page.plots import LinePlot, LinePoint, LineSeries
from perfsuite.report.page.quantities import axis_ticks, format_interval_of, format_value

HEIGHT = 280
_TOP, _BOTTOM, _RIGHT = 26, 44, 14
_MARK_ROW, _MARK_ROWS = 16, 3  # texts of marks in turn, so that neighbors do not meet
_MAX_X_TICKS = 10
_MAX_MARKERS = 80  # of a series; more are a line only


def draw_lines(plot: LinePlot, width: float) -> str:
    """Draw a line plot in an image that many pixels wide."""
    points = [point for series in plot.series for point in series.points if isfinite(point.y)]
    if not points:
        return ""
    canvas = Canvas(width, HEIGHT)
    low, high = _y_range(plot, points)
    ticks = axis_ticks(low, high, plot.kind, 5)
    left = 8 + max(text_width(label) for label in ticks)
    y = Scale(low, high, HEIGHT - _BOTTOM, _top(plot))
    x = _x_scale(points, left, width)
    _draw_y_axis(canvas, plot, ticks, y, left)
    _draw_x_axis(canvas, plot, points, x)
    _draw_marks(canvas, plot, x)
    for number, series in enumerate(plot.series):
        _draw_series(canvas, plot, series, number, x, y)
    return canvas.render(f"{plot.title}: {plot.y_label} by {plot.x_label}")


def _y_range(plot: LinePlot, points: list[LinePoint]) -> tuple[float, float]:
    values = finite(value for point in points for value in (point.y, point.low, point.high))
    values += plot.y_range or ()
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
    return (min(0.0, low) if plot.from_zero else low - margin), high + margin


def _x_scale(points: list[LinePoint], left: float, width: float) -> Scale:
    xs = [point.x for point in points]
    low, high = min(xs), max(xs)
    if low == high:
        low, high = low - 1, high + 1
    return Scale(low, high, left + 12, width - _RIGHT - 12)


def _draw_y_axis(canvas: Canvas, plot: LinePlot, ticks: dict[str, float], y: Scale, left: float) -> None:
    canvas.text(0, 12, plot.y_label, "label")
    for label, value in ticks.items():
        canvas.line((left, y(value)), (canvas.width - _RIGHT, y(value)), "zero" if value == 0 else "axis")
        canvas.text(left - 6, y(value) + 4, label, "tick-y", "end")


def _draw_x_axis(canvas: Canvas, plot: LinePlot, points: list[LinePoint], x: Scale) -> None:
    base = HEIGHT - _BOTTOM
    last = -1e9  # the right end of the last label
    for label, value in _x_labels(plot, points, x).items():
        cut = shorten(label, 90)
        begin = x(value) - text_width(cut) / 2
        end = begin + text_width(cut)
        if begin < last + 6 or end > canvas.width + 2 or begin < -2:
            continue
        last = end
        canvas.line((x(value), base), (x(value), base + 4), "zero")
        canvas.text(x(value), base + 17, cut, "tick-x", "middle")
    canvas.text(canvas.width - _RIGHT, HEIGHT - 6, plot.x_label, "label", anchor="end")


def _x_labels(plot: LinePlot, points: list[LinePoint], x: Scale) -> dict[str, float]:
    """Names of points, or the measured numbers where they are few, or round numbers."""
    if any(point.name for point in points):
        return {point.name: point.x for point in sorted(points, key=lambda each: each.x) if point.name}
    measured = sorted({point.x for point in points})
    if len(measured) <= _MAX_X_TICKS:
        return {format_value(value, plot.x_kind): value for value in measured}
    return axis_ticks(x.low, x.high, plot.x_kind, _MAX_X_TICKS // 2)


def _top(plot: LinePlot) -> float:
    """The upper end of the y axis: below the texts of the marks."""
    return _TOP + _MARK_ROW * min(len(plot.marks), _MARK_ROWS)


def _draw_marks(canvas: Canvas, plot: LinePlot, x: Scale) -> None:
    for number, mark in enumerate(plot.marks):
        row = _TOP + _MARK_ROW * (number % _MARK_ROWS) + 6
        canvas.line((x(mark.x), row - 10), (x(mark.x), HEIGHT - _BOTTOM), "mark")
        text = shorten(mark.text, canvas.width / 3)
        is_right = x(mark.x) + 5 + text_width(text) > canvas.width
        canvas.text(x(mark.x) + (-5 if is_right else 5), row, text, "mark", "end" if is_right else "start")


def _draw_series(canvas: Canvas, plot: LinePlot, series: LineSeries, number: int, x: Scale, y: Scale) -> None:
    points = sorted((each for each in series.points if isfinite(each.y)), key=lambda each: each.x)
    color = color_class(number)
    spans = [
        (each.x, each.low, each.high)
        for each in points
        if each.low is not None and each.high is not None and finite([each.low, each.high])
    ]
    if plot.has_bands and len(spans) > 1:
        upper = [(x(at), y(high)) for at, _, high in spans]
        lower = [(x(at), y(low)) for at, low, _ in reversed(spans)]
        canvas.path([*upper, *lower], f"area {color}", closed=True)
    else:
        for at, low, high in spans:
            _draw_error_bar(canvas, x(at), y(low), y(high), color)
    places = [(x(each.x), y(each.y)) for each in points]
    if len(places) > 1:
        canvas.path(_thin(places), f"line {color}")
    if len(points) <= _MAX_MARKERS:
        for each, place in zip(points, places, strict=True):
            canvas.marker(*place, number, _tooltip(plot, series, each))


def _draw_error_bar(canvas: Canvas, x: float, low: float, high: float, color: str) -> None:
    canvas.line((x, low), (x, high), f"error {color}")
    for end in (low, high):
        canvas.line((x - 4, end), (x + 4, end), f"error {color}")


def _thin(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Keep the lowest and the highest point of each pixel, in order: a line of 10,000 points stays small."""
    if len(places) < 1000:
        return places
    columns: dict[int, list[tuple[float, float]]] = {}
    for place in places:
        columns.setdefault(int(place[0]), []).append(place)
    kept = []
    for column in columns.values():
        ends = {min(column, key=lambda each: each[1]), max(column, key=lambda each: each[1])}
        kept += [each for each in column if each in ends]
    return [kept[0], *(after for before, after in pairwise(kept) if before != after)]


def _tooltip(plot: LinePlot, series: LineSeries, point: LinePoint) -> str:
    interval = format_interval_of(point.low, point.high, plot.kind)
    name = point.name or f"{plot.x_label} {format_value(point.x, plot.x_kind)}"
    return f"{series.name}, {name}: {format_value(point.y, plot.kind)}{f' ({interval})' if interval else ''}"
