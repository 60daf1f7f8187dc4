"""What a page says: a title, a summary, and sections of text, tables and plots.

No text in these values is escaped: each renderer escapes what it writes.

>>> table = Table(columns=("workers", "images/s"), rows=(("0", "120"), ("2", "231")))
>>> Document(stem="sweep", title="Worker sweep", sections=(Section("Settings", (table,)),)).blocks == (table,)
True
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from perfsuite.measure.measurement import Environment
from perfsuite.report.page.plots import AnyPlot


class Tone(StrEnum):
    """How a badge is colored; its text says the same without the color."""

    BAD = "bad"
    UNCLEAR = "unclear"
    GOOD = "good"
    NEW = "new"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Badge:
    """A short word, such as an outcome, in the color of its tone."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a web address or to a file beside the page. Other addresses are shown as text."""

    text: str
    address: str


Cell = str | Badge | Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows below a header. A column of numbers is aligned right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class ItemList:
    """A bulleted list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Text to copy, such as a command or a file, with its line breaks."""

    text: str


Block = str | Table | ItemList | Listing | AnyPlot  # a string is a paragraph


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks below a heading; a folded section opens on request."""

    title: str
    blocks: tuple[Block, ...]
    is_folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One page. Its files are called after `stem`: sweep.html, sweep.md, sweep-1.png.

    Sections without blocks are left out.
    """

    stem: str
    title: str
    summary: tuple[str, ...] = ()  # the result in a few lines; the first is the headline
    sections: tuple[Section, ...] = ()
    environment: Environment | None = None
    command: str = ""  # repeats the measurement

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", tuple(each for each in self.sections if each.blocks))

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(block for section in self.sections for block in section.blocks)
