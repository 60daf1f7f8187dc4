"""Every link of a page into this repository leads to a file, and to a heading where it names one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

SOURCES = [
    *ROOT.glob("*.md"),
    *(path for path in (ROOT / "docs").rglob("*.md") if not {"_build", "generated"} & set(path.parts)),
]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(path: Path, text: str) -> Iterator[str]:
    for target in _LINK.findall(_FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        if not linked.exists():
            yield f"{target}: no such file"
        elif not linked.is_relative_to(ROOT):
            yield f"{target}: outside the repository"
        elif anchor and anchor not in anchors(text if linked == path else linked.read_text()):
            yield f"{target}: no such heading"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(path: Path) -> None:
    assert list(broken_links(path, path.read_text())) == []


@pytest.mark.parametrize("wrong", ["[a](absent.md)", "[a](gate.md#absent)", "[a](#absent)", "[a](../../x)"])
def test_a_broken_link_is_found(wrong: str) -> None:
    assert list(broken_links(ROOT / "docs" / "limits.md", wrong))


def test_every_page_of_the_site_is_in_a_table_of_contents() -> None:
    toc = (ROOT / "docs" / "index.md").read_text()
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "how-to").glob("*.md")]
    names = {str(path.relative_to(ROOT / "docs").with_suffix("")) for path in pages} - {"index"}
    assert names == {name for name in names if f"\n{name}\n" in toc}
