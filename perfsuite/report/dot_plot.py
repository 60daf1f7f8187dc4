"""The pairs of one workload as SVG: a dot for each, a band for the tolerance, a bar for the interval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perfsuite.judge.verdict import Interval
from perfsuite.report.page.drawing.canvas import Canvas, Scale, finite
from perfsuite.report.text import format_change

WIDE, NARROW = 900.0, 340.0  # pixels; a page has both forms, and its stylesheet shows the one that fits
_HEIGHT, _MARGIN, _AXIS_Y, _TOP = 74.0, 34.0, 50.0, 8.0
_LEAST_REACH = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPlot:
    """The change of each pair in the order of measurement, and what was concluded from them."""

    changes: tuple[float, ...]
    tolerance: float
    interval: Interval | None = None
    estimate: float | None = None

    @property
    def reach(self) -> float:
        """The largest change, either way, that the plot shows."""
        ends = (self.interval.low, self.interval.high) if self.interval else ()
        return max(map(abs, finite([*self.changes, *ends, 2.0 * self.tolerance])), default=0.0)


def axis_reach(plots: Iterable[PairPlot]) -> float:
    """The end of one axis for all plots, so that a glance tells a wide spread from a narrow one.

    >>> plots = [PairPlot(changes=(change,), tolerance=0.01) for change in (0.01, -0.2)]
    >>> round(axis_reach(plots), 3)
    0.2
    """
    return max([_LEAST_REACH, *(plot.reach for plot in plots)])


def draw_pairs(plot: PairPlot, reach: float, width: float) -> str:
    """Render an SVG element whose axis ends a little beyond `reach` on both sides.

    >>> draw_pairs(PairPlot(changes=(0.01, 0.02), tolerance=0.01), 0.02, WIDE).count('class="dot"')
    2
    """
    canvas = Canvas(width, _HEIGHT)
    x = Scale(-1.1 * reach, 1.1 * reach, _MARGIN, width - _MARGIN)
    left, right = x(-plot.tolerance), x(plot.tolerance)
    canvas.rect(left, _TOP, right - left, _AXIS_Y - _TOP, "band")
    canvas.line((x.begin, _AXIS_Y), (x.end, _AXIS_Y), "axis")
    canvas.line((x(0.0), _TOP), (x(0.0), _AXIS_Y), "zero")
    for number, change in enumerate(plot.changes):
        # In the order of measurement, from the bottom up: a drift shows as a slope.
        y = _AXIS_Y - 5 - (_AXIS_Y - 17) * (number / max(1, len(plot.changes) - 1))
        title = f"pair {number + 1}: {format_change(change)}"
        canvas.element("circle", {"class_": "dot", "cx": x(change), "cy": y, "r": "3.5"}, title)
    if plot.interval is not None:
        canvas.line((x(plot.interval.low), _AXIS_Y), (x(plot.interval.high), _AXIS_Y), "range")
    if plot.estimate is not None:
        middle = x(plot.estimate)
        corners = [(middle - 5, _AXIS_Y), (middle, _AXIS_Y - 5), (middle + 5, _AXIS_Y), (middle, _AXIS_Y + 5)]
        canvas.path(corners, "mid", closed=True)
    # No workload can lose more than 100 % of its time, so a left end beyond that has no label.
    ends = [reach] if reach >= 1 else [-reach, reach]
    for value, text in ((0.0, "0 %"), *((end, format_change(end)) for end in ends)):
        canvas.text(x(value), _HEIGHT - 6, text, anchor="middle")
    return canvas.render(f"changes of {len(plot.changes)} pairs")
