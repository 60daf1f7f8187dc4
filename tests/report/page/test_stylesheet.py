"""The colors of the pages: contrast of text, and colors of series that color-blind readers tell apart."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

import perfsuite.report

TEMPLATES = Path(perfsuite.report.__file__).parent / "templates"
TEXT = ("--ink", "--soft", "--red", "--green", "--amber", "--blue", "--link")
GROUNDS = ("--paper", "--card")
SERIES = tuple(f"--s{number}" for number in range(1, 7))
MIN_TEXT_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
MIN_GRAPHIC_CONTRAST = 3.0  # WCAG 2.2, 1.4.11
MIN_DIFFERENCE = 9.0  # of two series, in CIELAB; about 2 is just noticeable

# Linear RGB as seen with full vision and with each kind of color blindness (Machado et al. 2009, severity 1).
VISION = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
Color = tuple[float, float, float]


def colors(theme: str) -> dict[str, str]:
    css = "\n".join((TEMPLATES / name).read_text() for name in ("report.css", "page.css"))
    dark_blocks = re.findall(
        r"@media screen and \(prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}", css, re.DOTALL
    )
    assert len(dark_blocks) == 2
    light_blocks = re.findall(r"^:root \{(.*?)\}", css, re.DOTALL | re.MULTILINE)
    blocks = [*light_blocks, *dark_blocks] if theme == "dark" else light_blocks
    return dict(re.findall(r"(--[\w]+): (#[0-9a-f]{3,6})", "\n".join(blocks)))


def linear(color: str) -> Color:
    digits = color[1:] if len(color) == 7 else "".join(2 * each for each in color[1:])
    values = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return red, green, blue


def contrast(one: str, other: str) -> float:
    def luminance(color: str) -> float:
        red, green, blue = linear(color)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(color: str, vision: str) -> Color:
    seen = [
        min(1.0, max(0.0, sum(a * b for a, b in zip(row, linear(color), strict=True))))
        for row in VISION[vision]
    ]
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.95047, 1.0, 1.089)
    x, y, z = (
        value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116
        for value in (
            sum(a * b for a, b in zip(row, seen, strict=True)) / w for row, w in zip(rows, white, strict=True)
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def difference(one: str, other: str, vision: str) -> float:
    pairs = zip(lab(one, vision), lab(other, vision), strict=True)
    return float(sum((a - b) ** 2 for a, b in pairs) ** 0.5)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
def test_text_has_contrast(theme: str, ground: str) -> None:
    palette = colors(theme)
    low = {text: round(contrast(palette[text], palette[ground]), 2) for text in TEXT}
    assert min(low.values()) >= MIN_TEXT_CONTRAST, low


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_plots_have_contrast(theme: str) -> None:
    palette = colors(theme)
    assert min(contrast(palette[each], palette["--card"]) for each in SERIES) >= MIN_GRAPHIC_CONTRAST


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_series_differ_for_color_blind_readers(theme: str, vision: str) -> None:
    palette = colors(theme)
    assert (
        min(difference(palette[a], palette[b], vision) for a, b in combinations(SERIES, 2)) >= MIN_DIFFERENCE
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_series_after_the_sixth_have_contrast(theme: str) -> None:
    """They have the colors of the first six as outlines; mixing these with the ground would be too pale."""
    css = (TEMPLATES / "page.css").read_text()
    rules = dict(re.findall(r"^\.(line|marker|bar)\.outlined \{ (.*?) \}", css, re.MULTILINE))
    assert set(rules) == {"line", "marker", "bar"}
    assert all("stroke: var(--color)" in rules[each] for each in ("marker", "bar"))
    assert not re.search(r"(?<!fill-)opacity", "".join(rules.values()))
    palette = colors(theme)
    assert min(contrast(half(palette[each], palette["--card"]), palette["--card"]) for each in SERIES) < (
        MIN_GRAPHIC_CONTRAST
    )


def half(one: str, other: str) -> str:
    """The color of `one` at an opacity of one half over `other`."""
    mixed = ((int(one[at : at + 2], 16) + int(other[at : at + 2], 16)) // 2 for at in (1, 3, 5))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def test_poor_colors_are_noticed() -> None:
    assert contrast("#999999", "#ffffff") < MIN_GRAPHIC_CONTRAST
    assert (
        difference("#d62728", "#8a7a00", "full")
        > MIN_DIFFERENCE
        > difference("#b35900", "#8a6d00", "deuteranopia")
    )


def test_printed_pages_are_light() -> None:
    for name in ("report.css", "page.css"):
        assert "@media (prefers-color-scheme" not in (TEMPLATES / name).read_text()
