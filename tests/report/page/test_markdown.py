"""The Markdown of a document."""

from __future__ import annotations

from perfsuite.report.page.document import Document, ItemList, Link, Section, Table
from perfsuite.report.page.markdown import render_markdown
from tests.report.page.sample_document import PLOTS, sample_document


def test_a_document_without_images_has_all_figures_as_tables() -> None:
    text = render_markdown(sample_document())
    assert "![" not in text
    assert "| 2 | threads | 231/s | 219/s to 245/s |" in text
    assert "| num&#95;workers=0 | 120/s | 114/s to 126/s | **slower** | [c0ffee1](runs/1.html) |" in text


def test_images_stand_in_the_order_of_the_plots() -> None:
    images = [f"sample-{number}.png" for number in range(1, len(PLOTS) + 1)]
    text = render_markdown(sample_document(), images)
    places = [text.index(f"({image})") for image in images]
    assert places == sorted(places)


def test_text_cannot_leave_its_cell_or_listing() -> None:
    table = Table(columns=("a|b",), rows=(("<b>|@team",), (Link("x", "javascript:x"),), (Link("x", "a)b"),)))
    document = Document(
        stem="x", title="# a\nb", sections=(Section("s", (table,)),), command="echo ```\n# no heading"
    )
    text = render_markdown(document)
    assert "| &#60;b&#62;&#124;@<!-- -->team |" in text
    assert "](javascript" not in text
    assert "](a)b" not in text
    assert text.startswith("# &#35;<!-- --> a&#92;nb\n")
    assert text.count("```") == 2


def test_what_stands_between_backticks_is_code_and_escaped() -> None:
    section = Section("s", ("use `--amp`", ItemList(("`<b>` and a ` alone",))))
    text = render_markdown(Document(stem="x", title="t", summary=("`a`",), sections=(section,)))
    assert "use <code>--amp</code>" in text
    assert "- <code>&#60;b&#62;</code> and a &#96; alone" in text
    assert "**<code>a</code>**" in text
