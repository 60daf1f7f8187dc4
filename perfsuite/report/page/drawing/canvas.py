"""SVG elements by their class names, and the scales that place them. All text is escaped here.

>>> canvas = Canvas(100, 20)
>>> canvas.text(0, 12, "a < b")
>>> canvas.render("an example")
'<svg viewBox="0 0 100 20" role="img" aria-label="an example"><text x="0" y="12">a &lt; b</text></svg>'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

from perfsuite.report.text import escape_control_characters

# Pixels of a digit at the stylesheet's 12 px in DejaVu Sans and Verdana, the widest of the usual fonts.
CHARACTER_WIDTH = 7.7
SERIES_COLORS = 6  # the classes s1 to s6 of plots.css


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from a range of values to a range of pixels.

    >>> Scale(0.0, 10.0, 100.0, 300.0)(5.0)
    200.0
    """

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value; values outside the range, infinite ones too, land on its ends."""
        inside = max(self.low, min(self.high, value))
        extent = (self.high - self.low) or 1.0
        return self.begin + (inside - self.low) / extent * (self.end - self.begin)


class Canvas:
    """An SVG image under construction."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def element(self, name: str, attributes: Mapping[str, object], title: str = "", text: str = "") -> None:
        written = "".join(
            f' {key.rstrip("_")}="{_attribute(value)}"' for key, value in attributes.items() if value != ""
        )
        content = _text(text) + (f"<title>{_text(title)}</title>" if title else "")
        self._parts.append(f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>")

    def text(self, x: float, y: float, text: str, class_: str = "", anchor: str = "") -> None:
        self.element("text", {"class_": class_, "x": x, "y": y, "text-anchor": anchor}, text=text)

    def line(self, begin: tuple[float, float], end: tuple[float, float], class_: str) -> None:
        ends = {"x1": begin[0], "y1": begin[1], "x2": end[0], "y2": end[1]}
        self.element("line", {"class_": class_, **ends})

    def rect(self, x: float, y: float, width: float, height: float, class_: str, title: str = "") -> None:
        box = {"x": x, "y": y, "width": max(0.0, width), "height": height}
        self.element("rect", {"class_": class_, **box}, title)

    def path(self, points: Sequence[tuple[float, float]], class_: str, *, closed: bool = False) -> None:
        steps = "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
        self.element("path", {"class_": class_, "d": f"M{steps}{'Z' * closed}"})

    def marker(self, x: float, y: float, series: int, title: str) -> None:
        """A symbol whose form, too, differs by series."""
        self.element(
            "path", {"class_": f"marker {color_class(series)}", "d": marker_path(x, y, series)}, title
        )

    def render(self, label: str) -> str:
        size = f"0 0 {_number(self.width)} {_number(self.height)}"
        return (
            f'<svg viewBox="{size}" role="img" aria-label="{_attribute(label)}">{"".join(self._parts)}</svg>'
        )


def color_class(series: int) -> str:
    """The class of a series: s1 to s6, and then the same colors as outlines and dashes."""
    return f"s{series % SERIES_COLORS + 1}{' outlined' if series // SERIES_COLORS % 2 else ''}"


def marker_path(x: float, y: float, series: int) -> str:
    """The outline of a disk, square, diamond or triangle."""
    at = f"M{_number(x)} {_number(y)}"
    forms = (
        "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
        "m-3.5 -3.5h7v7h-7z",
        "m0 -5l5 5l-5 5l-5 -5z",
        "m0 -5l5 8h-10z",
    )
    return at + forms[series % len(forms)]


def text_width(text: str) -> float:
    return CHARACTER_WIDTH * len(text)


def shorten(text: str, width: float) -> str:
    """Cut the middle out of a text that is wider than `width` pixels.

    >>> shorten("test_loaders.py::test_decode[large]", 140)
    'test_load...e[large]'
    """
    room = max(5, int(width / CHARACTER_WIDTH) + 2)
    if len(text) <= room:
        return text
    head = (room - 3 + 1) // 2
    return f"{text[:head]}...{text[len(text) - (room - 3 - head) :]}"


def finite(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and isfinite(value)]


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _attribute(value: object) -> str:
    return _number(value) if isinstance(value, float) else _text(str(value))


def _text(text: str) -> str:
    return escape(escape_control_characters(text))
