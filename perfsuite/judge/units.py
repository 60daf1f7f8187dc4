"""Parse and format quantities ("50 ms", "400 MiB", 0.3), and check the range of settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from math import inf, isfinite

from perfsuite.errors import UsageError


class MetricKind(StrEnum):
    RATE = "items per second"
    SECONDS = "seconds"
    BYTES = "bytes"
    RATIO = "a ratio"
    COUNT = "a count"
    NUMBER = "a number"


_FACTORS: dict[MetricKind, dict[str, float]] = {
    MetricKind.SECONDS: {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0},
    MetricKind.BYTES: {
        "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
        "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    },
    MetricKind.RATIO: {"%": 0.01, "x": 1.0},
    MetricKind.RATE: {"/s": 1.0},
    MetricKind.COUNT: {},
    MetricKind.NUMBER: {},
}  # fmt: skip
_QUANTITY = re.compile(r"\s*([+-]?[\d_]*\.?\d+(?:[eE][+-]?\d+)?)\s*([^\s\d]*)\s*")


def parse_quantity(text: object, kind: MetricKind, who: str) -> float:
    """Parse a quantity into seconds, bytes, items per second, a ratio or a count.

    >>> parse_quantity("50 ms", MetricKind.SECONDS, "ceiling(p95)")
    0.05
    >>> parse_quantity("400 MiB", MetricKind.BYTES, "ceiling(peak_memory)")
    419430400.0
    >>> parse_quantity("400 ms", MetricKind.BYTES, "ceiling(peak_memory)")
    Traceback (most recent call last):
    perfsuite.errors.UsageError: ceiling(peak_memory): '400 ms' is not in bytes, expected a number, or a \
number and one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB
    """
    if isinstance(text, bool) or not isinstance(text, int | float | str):
        raise UsageError(f"{who}: {text!r} is not a number, expected {kind}")
    try:
        value = _parse_string(text, kind, who) if isinstance(text, str) else float(text)
    except OverflowError:  # an integer too large for a float
        value = inf
    if not isfinite(value) or value < 0:
        raise UsageError(
            f"{who}: {text!r} is not a limit that can be kept, expected a finite number of 0 or more"
        )
    if kind is MetricKind.COUNT and value != int(value):
        raise UsageError(f"{who}: {text!r} is not a whole number, expected a count")
    return value


def _parse_string(text: str, kind: MetricKind, who: str) -> float:
    factors = _FACTORS[kind]
    match = _QUANTITY.fullmatch(text)
    if match is None or (match[2] and match[2] not in factors):
        units = f", or a number and one of {', '.join(factors)}" if factors else ""
        raise UsageError(f"{who}: {text!r} is not in {kind}, expected a number{units}")
    return float(match[1]) * factors.get(match[2], 1.0)


@dataclass(frozen=True, slots=True)
class Range:
    """The valid range of a setting. No range contains NaN or infinity.

    >>> str(Range(0, 1)), str(Range(0, 1, with_low=True)), str(Range(1, with_low=True, whole=True))
    ('a number above 0 and below 1', 'a number of 0 or more and below 1', 'a whole number of 1 or more')
    """

    low: float = -inf
    high: float = inf  # exclusive
    with_low: bool = False
    whole: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return self.low < value < self.high or (self.with_low and value == self.low)

    def check(self, who: str, value: object) -> None:
        """Raise UsageError if the value is not a number in the range.

        >>> Range(0, 1).check("pyproject.toml: alpha", float("nan"))
        Traceback (most recent call last):
        perfsuite.errors.UsageError: pyproject.toml: alpha: nan, expected a number above 0 and below 1
        """
        if value not in self:
            raise UsageError(f"{who}: {value!r}, expected {self}")

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        low = f"of {self.low:g} or more" if self.with_low else f"above {self.low:g}"
        bounds = [low] * isfinite(self.low) + [f"below {self.high:g}"] * isfinite(self.high)
        return " ".join([kind, " and ".join(bounds)]).strip()


def format_quantity(value: float, kind: MetricKind) -> str:
    """Format a quantity with three significant digits and a suitable unit.

    >>> quantities = (0.0123, MetricKind.SECONDS), (419430400, MetricKind.BYTES), (1234.5, MetricKind.RATE)
    >>> tuple(format_quantity(*each) for each in quantities)
    ('12.3 ms', '400 MiB', '1,234/s')
    """
    if not isfinite(value):
        return "unbounded"
    if kind in _DISPLAY_UNITS:
        unit, size = display_unit(value, kind)
        return f"{format_significant(value / size)}{unit}"
    if kind is MetricKind.RATIO:
        return f"{value:.2f}" if abs(value) >= 0.095 else f"{value:.3f}"
    if kind is MetricKind.NUMBER:
        return format_significant(value)
    return f"{value:,.0f}"


def display_unit(value: float, kind: MetricKind) -> tuple[str, float]:
    """The suffix, and its size, in which a value of this size is shown.

    >>> display_unit(0.012, MetricKind.SECONDS), display_unit(5.0, MetricKind.RATE)
    ((' ms', 0.001), ('/s', 1.0))
    """
    units = _DISPLAY_UNITS.get(kind, (("", 1.0),))
    return next((unit for unit in units if abs(value) >= unit[1]), units[-1])


_DISPLAY_UNITS: dict[MetricKind, tuple[tuple[str, float], ...]] = {
    MetricKind.SECONDS: ((" s", 1.0), (" ms", 1e-3), (" us", 1e-6), (" ns", 1e-9)),
    MetricKind.BYTES: ((" GiB", 2.0**30), (" MiB", 2.0**20), (" KiB", 2.0**10), (" B", 1.0)),
    MetricKind.RATE: (("/s", 1.0),),
}


def format_significant(value: float) -> str:
    """Format with three significant digits and no exponent: 0.123, 12.3, 1,234."""
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"
