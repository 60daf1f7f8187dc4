"""Horizontal bars. A bar's name stands above it, so that a long one fits a narrow screen."""

from __future__ import annotations

from itertools import accumulate

from perfsuite.report.page.drawing.canvas import Canvas, Scale, color_class, finite, shorten, text_width
from perfsuite.report.page.plots import Bar, BarPlot, StackedBarPlot
from perfsuite.report.page.quantities import PlotKind, axis_ticks, format_interval_of, format_value

_ROW, _BAR, _AXIS, _LABEL = 42, 16, 22, 18  # heights in pixels
_SIDE = 6


def draw_bars(plot: BarPlot, width: float) -> str:
    """Draw bars with their intervals as lines over their ends."""
    values = finite(value for bar in plot.bars for value in (bar.value, bar.low, bar.high))
    if not values:
        return ""
    reference = finite([plot.reference])
    low, high = min(0.0, *values, *reference), max(0.0, *values, *reference)
    canvas, x, base = _begin(width, len(plot.bars), low, high, has_head=bool(reference))
    _draw_axis(canvas, x, plot.kind, plot.value_label, base)
    tops = [_row_top(canvas, len(plot.bars), number) for number in range(len(plot.bars))]
    for bar, top in zip(plot.bars, tops, strict=True):
        _draw_bar(canvas, plot, bar, x, top)
    for value in reference:
        canvas.line((x(value), 14), (x(value), base), "mark")
        text = shorten(f"{plot.reference_label} {format_value(value, plot.kind)}".strip(), width)
        is_right = x(value) + text_width(text) > width
        canvas.text(x(value), 12, text, "mark", "end" if is_right else "start")
    for bar, top in zip(plot.bars, tops, strict=True):  # after the line of the reference, which crosses them
        _draw_names(canvas, bar.name, format_value(bar.value, plot.kind), top)
    return canvas.render(f"{plot.title}: {plot.value_label}")


def draw_stacked_bars(plot: StackedBarPlot, width: float) -> str:
    """Draw bars of parts; a part that is wide enough says its share."""
    totals = [sum(bar.parts.values()) for bar in plot.bars]
    if not any(total > 0 for total in totals):
        return ""
    names = part_names(plot)
    canvas, x, base = _begin(width, len(plot.bars), 0.0, max(totals), has_head=False)
    _draw_axis(canvas, x, plot.kind, plot.value_label, base)
    for number, (bar, total) in enumerate(zip(plot.bars, totals, strict=True)):
        top = _row_top(canvas, len(plot.bars), number)
        _draw_names(canvas, bar.name, format_value(total, plot.kind), top)
        ends = [0.0, *accumulate(bar.parts.values())]
        for (name, value), begin in zip(bar.parts.items(), ends, strict=False):
            title = (
                f"{bar.name}, {name}: {format_value(value, plot.kind)} ({100 * value / (total or 1):.1f} %)"
            )
            left, right = x(begin), x(begin + value)
            color = color_class(names.index(name))
            canvas.rect(left, top + 18, right - left, _BAR, f"bar part {color}", title)
    return canvas.render(f"{plot.title}: {plot.value_label}")


def part_names(plot: StackedBarPlot) -> list[str]:
    """The names of all parts in the order of their first bars."""
    return list(dict.fromkeys(name for bar in plot.bars for name in bar.parts))


def _begin(
    width: float, rows: int, low: float, high: float, *, has_head: bool
) -> tuple[Canvas, Scale, float]:
    height = 16 * has_head + rows * _ROW + _AXIS + _LABEL
    canvas = Canvas(width, height)
    return canvas, Scale(low, high or 1.0, _SIDE, width - _SIDE - 8), height - _AXIS - _LABEL + 4


def _row_top(canvas: Canvas, rows: int, row: int) -> float:
    return canvas.height - _AXIS - _LABEL - (rows - row) * _ROW


def _draw_axis(canvas: Canvas, x: Scale, kind: PlotKind, label: str, base: float) -> None:
    count = 5 if canvas.width > 500 else 3
    for text, value in axis_ticks(x.low, x.high, kind, count).items():
        canvas.line((x(value), 16), (x(value), base), "zero" if value == 0 else "axis")
        half = text_width(text) / 2
        middle = min(max(x(value), half), canvas.width - half)
        canvas.text(middle, base + 15, text, anchor="middle")
    canvas.text(canvas.width - _SIDE, canvas.height - 4, label, "label", anchor="end")


def _draw_names(canvas: Canvas, name: str, value: str, top: float) -> None:
    canvas.text(canvas.width - _SIDE, top + 13, value, "value", anchor="end")
    canvas.text(_SIDE, top + 13, shorten(name, canvas.width - 24 - text_width(value)), "name")


def _draw_bar(canvas: Canvas, plot: BarPlot, bar: Bar, x: Scale, top: float) -> None:
    interval = format_interval_of(bar.low, bar.high, plot.kind)
    value = format_value(bar.value, plot.kind)
    begin, end = sorted((x(0.0), x(bar.value)))
    title = f"{bar.name}: {value}{f' ({interval})' if interval else ''}"
    canvas.rect(begin, top + 18, end - begin, _BAR, "bar s1", title)
    # An interval without any finite end says nothing, and would look like a large one.
    if bar.low is not None and bar.high is not None and finite([bar.low, bar.high]):
        middle = top + 18 + _BAR / 2
        canvas.line((x(bar.low), middle), (x(bar.high), middle), "range")
        for edge in (x(bar.low), x(bar.high)):
            canvas.line((edge, middle - 4), (edge, middle + 4), "range")
