"""Distributions: a histogram of each group above one axis, with its median and 95th percentile."""

from __future__ import annotations

from math import isfinite

from perfsuite.judge.order_statistics import quantile
from perfsuite.report.page.drawing.canvas import Canvas, Scale, shorten, text_width
from perfsuite.report.page.plots import Distribution
from perfsuite.report.page.quantities import axis_ticks, format_value

_ROW, _HISTOGRAM, _AXIS, _LABEL, _SIDE = 66, 40, 22, 18, 6
_TAIL = 2.0  # the axis ends at this many times the 95th percentile, where samples lie beyond
_BIN_WIDTH = 9.0  # pixels
_FEW = 40  # samples that are also drawn one by one


def draw_distribution(plot: Distribution, width: float) -> str:
    """Draw one row for each group that has samples."""
    groups = {group.name: list(filter(isfinite, group.values)) for group in plot.groups}
    groups = {name: values for name, values in groups.items() if values}
    if not groups:
        return ""
    canvas = Canvas(width, len(groups) * _ROW + _AXIS + _LABEL)
    x = _scale(list(groups.values()), width)
    base = canvas.height - _AXIS - _LABEL
    for text, value in axis_ticks(x.low, x.high, plot.kind, 5 if width > 500 else 3).items():
        canvas.line((x(value), 18), (x(value), base), "axis")
        half = text_width(text) / 2
        canvas.text(min(max(x(value), half), width - half), base + 15, text, anchor="middle")
    canvas.text(width - _SIDE, canvas.height - 4, plot.value_label, "label", anchor="end")
    for number, (name, values) in enumerate(groups.items()):
        _draw_group(canvas, plot, name, values, x, number * _ROW)
    return canvas.render(f"{plot.title}: distribution of {plot.value_label}")


def _scale(groups: list[list[float]], width: float) -> Scale:
    low = min(map(min, groups))
    high = max(min(max(values), _TAIL * quantile(values, 0.95)) for values in groups)
    margin = 0.03 * (high - low) or 0.05 * abs(high) or 1.0
    begin = max(0.0, low - margin) if low >= 0 else low - margin
    return Scale(begin, high + margin, _SIDE, width - _SIDE - 8)


def _draw_group(
    canvas: Canvas, plot: Distribution, name: str, values: list[float], x: Scale, top: float
) -> None:
    middle, p95 = quantile(values, 0.5), quantile(values, 0.95)
    beyond = sum(value > x.high for value in values)
    facts = f"median {format_value(middle, plot.kind)}, 95 % {format_value(p95, plot.kind)}"
    facts += f", {beyond} beyond" if beyond else ""
    canvas.text(canvas.width - _SIDE, top + 13, facts, "value", anchor="end")
    canvas.text(_SIDE, top + 13, shorten(name, canvas.width - 24 - text_width(facts)), "name")
    base = top + 20 + _HISTOGRAM
    _draw_histogram(canvas, [value for value in values if value <= x.high], x, base)
    if len(values) <= _FEW:
        for value in values:
            canvas.line((x(value), base), (x(value), base + 5), "rug s1")
    canvas.line((x(middle), base - _HISTOGRAM), (x(middle), base), "range")
    canvas.line((x(p95), base - _HISTOGRAM / 2), (x(p95), base), "mark")
    canvas.line((x.begin, base), (x.end, base), "zero")


def _draw_histogram(canvas: Canvas, values: list[float], x: Scale, base: float) -> None:
    bins = int((x.end - x.begin) / _BIN_WIDTH)
    size = (x.high - x.low) / bins
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - x.low) / size))] += 1
    step, scale = (x.end - x.begin) / bins, (_HISTOGRAM - 2) / max(1, *counts)
    outline = [(x.begin, base)]
    for number, count in enumerate(counts):
        left, top = x.begin + number * step, base - scale * count
        outline += [(left, top), (left + step, top)]
    canvas.path([*outline, (x.end, base)], "bar s1", closed=True)
