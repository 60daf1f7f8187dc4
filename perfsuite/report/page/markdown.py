"""The same document as Markdown: plots are the PNG files beside it, with their figures as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perfsuite.report.formats.markdown import escape_markdown
from perfsuite.report.markdown_table import markdown_table
from perfsuite.report.page.document import Block, Cell, Document, ItemList, Link, Listing, Section, Table
from perfsuite.report.page.figures import figures
from perfsuite.report.page.html import is_safe_address, numeric_columns
from perfsuite.report.page.plots import AnyPlot
from perfsuite.report.text import escape_lines, split_code

MAX_ROWS = 100  # of a table


def render_markdown(document: Document, images: Sequence[str] = ()) -> str:
    """Render the document; `images` are the files of its plots in order, empty where there is none.

    >>> print(render_markdown(Document(stem="sweep", title="Worker sweep", summary=("2 workers",))))
    # Worker sweep
    <BLANKLINE>
    **2 workers**
    <BLANKLINE>
    """
    images_left = iter(images)
    parts = [f"# {escape_markdown(document.title)}"]
    for number, line in enumerate(document.summary):
        parts.append(_sentence(line) if number else f"**{_sentence(line)}**")
    for section in document.sections:
        parts += _section(section, images_left)
    if document.environment is not None:
        facts = {
            "fingerprint": document.environment.fingerprint,
            **document.environment.hard,
            **document.environment.soft,
        }
        rows = tuple(facts.items())
        parts += ["## Environment", _table(Table(columns=("fact", "value"), rows=rows))]
    if document.command:
        parts += ["## Reproduce", _fenced(document.command)]
    return "\n\n".join(parts) + "\n"


def _section(section: Section, images: Iterator[str]) -> list[str]:
    blocks = [_block(block, images) for block in section.blocks]
    if section.is_folded:
        blocks = [_folded("Show", "\n\n".join(blocks))]
    return [f"## {escape_markdown(section.title)}", *blocks]


def _block(block: Block, images: Iterator[str]) -> str:
    if isinstance(block, str):
        return _sentence(block)
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, ItemList):
        return "\n".join(f"- {_sentence(item)}" for item in block.items)
    if isinstance(block, Listing):
        return _fenced(block.text)
    return _plot(block, next(images, ""))


def _sentence(text: str) -> str:
    """Escape a sentence; what stands between backticks stays code."""
    parts = [escape_markdown(part) for part in split_code(text)]
    parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
    return "".join(parts)


def _plot(plot: AnyPlot, image: str) -> str:
    title, table = escape_markdown(plot.title), _table(figures(plot))
    if not image:
        return f"**{title}** {escape_markdown(plot.caption)}".rstrip() + f"\n\n{table}"
    parts = (f"**{title}**", escape_markdown(plot.caption), f"![{title}]({image})", _folded("Figures", table))
    return "\n\n".join(part for part in parts if part)


def _table(table: Table) -> str:
    text = markdown_table(
        [escape_markdown(column) for column in table.columns],
        ([_cell(cell) for cell in row] for row in table.rows[:MAX_ROWS]),
        numeric=[index for index, is_number in enumerate(numeric_columns(table)) if is_number],
    )
    left_out = len(table.rows) - MAX_ROWS
    more = [f"\nand {left_out:,} more rows"] * (left_out > 0)
    caption = [f"{_sentence(table.caption)}\n"] * bool(table.caption)
    return "\n".join([*caption, text, *more])


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape_markdown(cell)
    if isinstance(cell, Link):
        text = escape_markdown(cell.text)
        is_plain = is_safe_address(cell.address) and not set(cell.address) & set(" ()<>|\\\n")
        return f"[{text}]({cell.address})" if is_plain else f"{text} ({escape_markdown(cell.address)})"
    return f"**{escape_markdown(cell.text)}**"


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def _fenced(text: str) -> str:
    return f"```\n{escape_lines(text).replace('```', '')}\n```"
