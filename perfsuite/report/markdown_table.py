"""Tables in Markdown.

>>> print(markdown_table(("noise", "found"), [("calm", 3), ("drift", 1)], numeric=(1,)))
| noise | found |
|---|--:|
| calm | 3 |
| drift | 1 |
>>> escape_cell("a | <b>")
'a \\\\| &lt;b>'
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence


def markdown_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], numeric: Container[int] = ()
) -> str:
    """A table of cells that are Markdown already; `numeric` has the indices of right-aligned columns."""
    rule = "".join("--:|" if index in numeric else "---|" for index in range(len(columns)))
    return "\n".join((_line(columns), f"|{rule}", *map(_line, rows)))


def escape_cell(text: str) -> str:
    """Keep text of a program in its cell, on one line, and free of HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
