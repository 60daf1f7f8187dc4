"""Numbers at axes and in tables of plots: quantities of `judge.units`, shares and changes."""

from __future__ import annotations

from enum import StrEnum
from math import ceil, floor, isfinite, log10

from perfsuite.judge.units import MetricKind, display_unit, format_quantity
from perfsuite.report.text import format_change


class PercentKind(StrEnum):
    """Fractions that are shown as percentages."""

    SHARE = "share"  # 0.25 is 25.0 %
    CHANGE = "change"  # 0.25 is +25.0 %


PlotKind = MetricKind | PercentKind


def format_value(value: float | None, kind: PlotKind) -> str:
    """Format a value for a table; empty where there is none.

    >>> format_value(0.0123, MetricKind.SECONDS), format_value(0.25, PercentKind.SHARE)
    ('12.3 ms', '25.0 %')
    >>> format_value(0.25, PercentKind.CHANGE), format_value(0.0, MetricKind.BYTES)
    ('+25.0 %', '0')
    >>> format_value(None, MetricKind.BYTES)
    ''
    """
    if value is None:
        return ""
    if not isfinite(value):
        return "unbounded"
    if kind is PercentKind.CHANGE:
        return format_change(value)
    if kind is PercentKind.SHARE:
        return f"{100 * value:.1f} %"
    return "0" if value == 0 else format_quantity(value, kind)


def format_interval_of(low: float | None, high: float | None, kind: PlotKind) -> str:
    """Format both ends of an interval; empty where there is none.

    >>> format_interval_of(0.1, float("inf"), PercentKind.SHARE)
    '10.0 % to unbounded'
    >>> format_interval_of(-float("inf"), float("inf"), PercentKind.SHARE)
    'unbounded'
    """
    if low is None or high is None:
        return ""
    if not (isfinite(low) or isfinite(high)):
        return "unbounded"
    return f"{format_value(low, kind)} to {format_value(high, kind)}"


def axis_ticks(low: float, high: float, kind: PlotKind, count: int) -> dict[str, float]:
    """Round numbers from `low` to `high`, about `count` of them, by their labels.

    >>> axis_ticks(0.0, 0.02, MetricKind.SECONDS, 4)
    {'0': 0.0, '5 ms': 0.005, '10 ms': 0.01, '15 ms': 0.015, '20 ms': 0.02}
    >>> list(axis_ticks(0.1002, 0.1011, MetricKind.SECONDS, 3))
    ['100.5 ms', '101.0 ms']
    >>> list(axis_ticks(-0.1, 0.1, PercentKind.CHANGE, 4))
    ['-10 %', '-5 %', '0', '+5 %', '+10 %']
    """
    unit, size = _axis_unit(max(abs(low), abs(high)), kind)
    step = _round_step((high - low) / size / max(1, count), whole=kind is MetricKind.COUNT)
    decimals = max(0, -floor(log10(step) + 1e-9))
    if abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:  # 2.5
        decimals += 1
    sign = "+" if kind is PercentKind.CHANGE else ""
    ticks = {}
    for number in range(ceil(low / size / step - 1e-9), floor(high / size / step + 1e-9) + 1):
        value = number * step
        ticks[f"{value:{sign},.{decimals}f}{unit}" if number else "0"] = value * size
    return ticks


def _axis_unit(largest: float, kind: PlotKind) -> tuple[str, float]:
    return (" %", 0.01) if isinstance(kind, PercentKind) else display_unit(largest, kind)


def _round_step(step: float, *, whole: bool) -> float:
    """The next of 1, 2, 2.5, 5 and 10, times a power of ten."""
    power = 10.0 ** floor(log10(step)) if step > 0 else 1.0
    rounded = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= step * (1 - 1e-9))
    return max(1.0, float(ceil(rounded))) if whole else rounded
