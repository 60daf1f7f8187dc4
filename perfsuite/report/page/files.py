"""The files of a document: STEM.html, STEM.md, and a PNG of each plot where matplotlib is installed."""

from __future__ import annotations

from pathlib import Path

from perfsuite import atomic
from perfsuite.errors import StoreError
from perfsuite.report.page.document import Document
from perfsuite.report.page.drawing.draw import NARROW, draw
from perfsuite.report.page.html import render_html
from perfsuite.report.page.markdown import render_markdown
from perfsuite.report.page.plots import AnyPlot, BarPlot, Distribution, LinePlot, StackedBarPlot, Timeline
from perfsuite.report.page.png import can_draw_png, draw_png


def write_document(document: Document, folder: Path) -> tuple[Path, ...]:
    """Write the document, each file whole or not at all; the HTML page is the first path returned."""
    page, text = folder / f"{document.stem}.html", folder / f"{document.stem}.md"
    try:
        atomic.replace(page, render_html(document).encode())
        images = _write_images(document, folder)
        names = [path.name if path else "" for path in images]
        atomic.replace(text, render_markdown(document, names).encode())
    except StoreError as error:
        raise StoreError(f"--report {error}; name a folder that can be written") from error
    return (page, text, *filter(None, images))


def _write_images(document: Document, folder: Path) -> list[Path | None]:
    """The PNG file of each plot in order; None where nothing can be drawn."""
    plots = plots_of(document)
    if not can_draw_png():
        return [None] * len(plots)
    paths: list[Path | None] = []
    for number, plot in enumerate(plots, 1):
        path = folder / f"{document.stem}-{number}.png" if draw(plot, NARROW) else None
        if path is not None:
            atomic.replace(path, draw_png(plot))
        paths.append(path)
    return paths


def plots_of(document: Document) -> list[AnyPlot]:
    """The plots of all sections, in order."""
    kinds = LinePlot | BarPlot | StackedBarPlot | Distribution | Timeline
    return [block for block in document.blocks if isinstance(block, kinds)]
