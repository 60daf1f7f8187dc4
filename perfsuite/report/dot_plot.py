"""A dot plot as SVG: a dot for the change of each pair, a band for the tolerance, a bar for the interval."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.judge.verdict import Interval
from perfsuite.report.text import format_change

WIDTH, HEIGHT, MARGIN = 720, 74, 34
_AXIS_Y = 50


def render_dot_plot(
    changes: Sequence[float], tolerance: float, interval: Interval | None, estimate: float | None
) -> str:
    """Render an SVG element that is scaled to the widest change.

    >>> render_dot_plot([0.01, 0.02], 0.01, None, None).count('class="dot"')
    2
    """
    drawn = [*changes, *((interval.low, interval.high) if interval else ())]
    reach = 1.1 * max([abs(value) for value in drawn] + [2.0 * tolerance, 0.005])

    def x(value: float) -> float:
        inside = max(-reach, min(reach, value))
        return float(MARGIN + (inside + reach) / (2 * reach) * (WIDTH - 2 * MARGIN))

    parts = [
        f'<rect class="band" x="{x(-tolerance):.1f}" y="8" width="{x(tolerance) - x(-tolerance):.1f}" '
        f'height="{_AXIS_Y - 8}"/>',
        f'<line class="axis" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{_AXIS_Y}" y2="{_AXIS_Y}"/>',
        f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="8" y2="{_AXIS_Y}"/>',
    ]
    for number, value in enumerate(changes):
        # In the order of measurement, from the bottom up: a drift shows as a slope.
        y = _AXIS_Y - 5 - (_AXIS_Y - 17) * (number / max(1, len(changes) - 1))
        parts.append(
            f'<circle class="dot" cx="{x(value):.1f}" cy="{y:.1f}" r="3.5">'
            f"<title>pair {number + 1}: {format_change(value)}</title></circle>"
        )
    if interval is not None:
        parts.append(
            f'<line class="range" x1="{x(interval.low):.1f}" x2="{x(interval.high):.1f}" '
            f'y1="{_AXIS_Y}" y2="{_AXIS_Y}"/>'
        )
    if estimate is not None:
        middle = x(estimate)
        parts.append(f'<path class="mid" d="M{middle - 5:.1f} {_AXIS_Y}l5 -5l5 5l-5 5z"/>')
    # No workload can lose more than 100 % of its time, so a left end beyond that has no label.
    ends = [reach / 1.1] if reach / 1.1 >= 1 else [-reach / 1.1, reach / 1.1]
    for value, text in ((0.0, "0 %"), *((end, format_change(end)) for end in ends)):
        parts.append(f'<text x="{x(value):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{text}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="changes of {len(changes)} pairs">{"".join(parts)}</svg>'
    )
