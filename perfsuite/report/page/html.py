"""A document as one HTML page: no network, no script; light, dark, narrow and print."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from perfsuite.report.page.document import (
    Badge,
    Block,
    Cell,
    Document,
    ItemList,
    Link,
    Listing,
    Section,
    Table,
)
from perfsuite.report.page.drawing.canvas import color_class, marker_path
from perfsuite.report.page.drawing.draw import NARROW, WIDE, draw, legend_of
from perfsuite.report.page.figures import figures
from perfsuite.report.page.plots import AnyPlot, LinePlot
from perfsuite.report.template import load_template

if TYPE_CHECKING:
    from jinja2 import Template

MAX_BYTES = 2_000_000
_ROWS_TRIED = (400, 100, 20, 5)  # of each table, until the page is small enough
_ROOM_FOR_THE_REST = 20_000  # bytes, of what stands outside the sections
_WEB_OR_BESIDE = re.compile(r"https?://|[^:/?#\s]+(?:[/?#]|\Z)|#")
_NUMBER = re.compile(r"[-+]?[\d.,]+(?: ?[%x]|/s| ?[nmuµkMGTK]?i?[sB])?|")


def render_html(document: Document) -> str:
    """Render the page; rows are left out of long tables, and counted, until it fits `MAX_BYTES`.

    >>> page = render_html(Document(stem="sweep", title="A <sweep>"))
    >>> "<h1>A &lt;sweep&gt;</h1>" in page
    True
    """
    page = ""
    for max_rows in _ROWS_TRIED:
        page = _render(document, document.sections, max_rows)
        if len(page.encode()) <= MAX_BYTES:
            return page
    return _render(document, _sections_that_fit(document), _ROWS_TRIED[-1])


def _render(document: Document, sections: tuple[Section, ...], max_rows: int) -> str:
    return _template().render(document=document, sections=sections, max_rows=max_rows)


def _sections_that_fit(document: Document) -> tuple[Section, ...]:
    """The sections in their order while there is room; of the others, a paragraph that says so."""
    free = MAX_BYTES - len(_render(document, (), 0).encode()) - _ROOM_FOR_THE_REST
    sections = []
    for section in document.sections:
        size = len(_render(document, (section,), _ROWS_TRIED[-1]).encode())
        free -= size
        sections.append(
            section if free > 0 else Section(section.title, ("Left out: the page would exceed 2 MB.",))
        )
        free += size * (free <= 0)
    return tuple(sections)


@cache
def _template() -> Template:
    return load_template(
        "page.html.jinja",
        filters={"figures": figures, "legend": legend_of, "is_safe": is_safe_address},
        functions={
            "kind_of": kind_of,
            "draw_wide": lambda plot: draw(plot, WIDE),
            "draw_narrow": lambda plot: draw(plot, NARROW),
            "legend_key": _legend_key,
            "numeric_columns": numeric_columns,
        },
    )


def kind_of(block: Block | Cell) -> str:
    """The template's name for what a block or a cell is."""
    names = {str: "text", Table: "table", ItemList: "list", Listing: "listing", Badge: "badge", Link: "link"}
    return names.get(type(block), "plot")


def numeric_columns(table: Table) -> list[bool]:
    """Whether all cells of each column are numbers or empty.

    >>> numeric_columns(Table(columns=("name", "time", "rate"), rows=(("a", "1.5 ms", "1,200/s"),)))
    [False, True, True]
    """
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    return [
        all(isinstance(cell, str) and _NUMBER.fullmatch(cell) is not None for cell in column) and any(column)
        for column in columns
    ]


def is_safe_address(address: str) -> bool:
    """Whether an address is on the web or beside the page, so that it can run nothing.

    >>> [is_safe_address(each) for each in ("https://x.org", "runs/a.html", "#top")]
    [True, True, True]
    >>> [is_safe_address(each) for each in ("javascript:alert(1)", "//x.org")]
    [False, False]
    """
    return _WEB_OR_BESIDE.match(address) is not None


def _legend_key(plot: AnyPlot, number: int) -> str:
    color = color_class(number)
    if isinstance(plot, LinePlot):
        form = marker_path(9, 7, number)
        shape = f'<path class="line {color}" d="M0 7H18"/><path class="marker {color}" d="{form}"/>'
    else:
        shape = f'<rect class="bar {color}" x="2" y="1" width="13" height="12"/>'
    return f'<svg class="key" viewBox="0 0 18 14" aria-hidden="true">{shape}</svg>'
