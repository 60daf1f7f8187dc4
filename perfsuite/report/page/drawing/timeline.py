"""Timelines: a lane for each thread, process or device."""

from __future__ import annotations

from perfsuite.judge.units import MetricKind
from perfsuite.report.page.drawing.canvas import Canvas, Scale, color_class, text_width
from perfsuite.report.page.plots import Timeline
from perfsuite.report.page.quantities import axis_ticks, format_value

_ROW, _BAR, _AXIS, _SIDE = 42, 18, 24, 6
_MIN_WIDTH = 0.4  # pixels; narrower spans would vanish


def draw_timeline(plot: Timeline, width: float) -> str:
    """Draw every span from the first begin to the last end."""
    spans = [span for lane in plot.lanes for span in lane.spans]
    if not spans:
        return ""
    begin, end = min(span.begin for span in spans), max(span.end for span in spans)
    names = span_names(plot)
    canvas = Canvas(width, len(plot.lanes) * _ROW + _AXIS)
    x = Scale(0.0, end - begin or 1.0, _SIDE, width - _SIDE - 8)
    base = canvas.height - _AXIS
    for text, value in axis_ticks(0.0, x.high, MetricKind.SECONDS, 6 if width > 500 else 3).items():
        canvas.line((x(value), 16), (x(value), base), "axis")
        half = text_width(text) / 2
        canvas.text(min(max(x(value), half), width - half), base + 16, text, anchor="middle")
    for number, lane in enumerate(plot.lanes):
        top = number * _ROW
        canvas.text(_SIDE, top + 13, lane.name, "name")
        # Of nested spans the inner one is drawn last, on top.
        for span in sorted(lane.spans, key=lambda each: (each.begin, -each.end)):
            left, right = x(span.begin - begin), x(span.end - begin)
            title = f"{span.name}: {format_value(span.end - span.begin, MetricKind.SECONDS)}"
            color = color_class(names.index(span.name))
            canvas.rect(left, top + 18, max(_MIN_WIDTH, right - left), _BAR, f"bar {color}", title)
    return canvas.render(f"{plot.title}: timeline")


def span_names(plot: Timeline) -> list[str]:
    """The names of all spans in the order of their first appearance."""
    return list(dict.fromkeys(span.name for lane in plot.lanes for span in lane.spans))
