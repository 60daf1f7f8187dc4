"""The HTML page: self-contained, escaped, small, and complete without a script."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from perfsuite.report.page.document import Document, ItemList, Link, Section, Table
from perfsuite.report.page.html import MAX_BYTES, is_safe_address, render_html
from perfsuite.report.page.plots import Bar, BarPlot, LinePlot, LinePoint, LineSeries
from tests.report.page.sample_document import PLOTS, sample_document

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.content = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.content += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.found)


def test_a_page_needs_no_script_and_no_network() -> None:
    page = Elements(render_html(sample_document()))
    assert not {"script", "link", "img", "iframe", "object"} & {name for name, _ in page.found}
    addresses = [
        value for _, attributes in page.found for key, value in attributes.items() if key in ("src", "href")
    ]
    assert set(addresses) == {"runs/1.html", *(f"#section-{number}" for number in range(1, 5))}


def test_every_plot_is_drawn_for_wide_and_narrow_screens_and_has_its_figures() -> None:
    page = Elements(render_html(sample_document()))
    assert page.count("figure") == len(PLOTS)
    images = [
        attributes for name, attributes in page.found if name == "svg" and attributes.get("role") == "img"
    ]
    assert len(images) == 2 * len(PLOTS)
    assert all(image["aria-label"] for image in images)
    assert page.content.count("Figures") == len(PLOTS)


def test_a_page_can_be_used_with_the_keyboard() -> None:
    page = Elements(render_html(sample_document()))
    scrollable = [attributes for name, attributes in page.found if attributes.get("class") == "wide-table"]
    assert scrollable
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in scrollable)
    assert page.count("main") == page.count("h1") == 1
    targets = {attributes["id"] for _, attributes in page.found if "id" in attributes}
    links = {attributes.get("href") or "" for name, attributes in page.found if name == "a"}
    assert {link[1:] for link in links if link.startswith("#")} <= targets


def test_hostile_text_is_escaped_everywhere() -> None:
    plots = (
        BarPlot(title=HOSTILE, value_label=HOSTILE, bars=(Bar(HOSTILE, 1.0),), caption=HOSTILE),
        LinePlot(
            title=HOSTILE,
            x_label=HOSTILE,
            y_label=HOSTILE,
            series=(
                LineSeries(HOSTILE, (LinePoint(0, 1.0, name=HOSTILE),)),
                LineSeries("b", (LinePoint(1, 1.0),)),
            ),
        ),
    )
    table = Table(columns=(HOSTILE,), rows=((HOSTILE,), (Link(HOSTILE, HOSTILE),)), caption=HOSTILE)
    sections = (Section(HOSTILE, (HOSTILE, table, *plots)),)
    page = render_html(
        Document(stem="x", title=HOSTILE, summary=(HOSTILE,), sections=sections, command=HOSTILE)
    )
    assert "script" not in {name for name, _ in Elements(page).found}
    assert "\x1b" not in page
    # An unescaped quote would end the attribute, so that `&` would begin a name of its own.
    assert all(set(attributes) <= KNOWN_ATTRIBUTES for _, attributes in Elements(page).found)


KNOWN_ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "class", "id", "href", "rel", "scope"),
    *("role", "tabindex", "aria-label", "aria-hidden", "viewbox", "width", "height"),
    *("x", "y", "x1", "x2", "y1", "y2", "d", "text-anchor"),
}


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JavaScript:x",
        " javascript:x",
        "data:text/html,x",
        "//host/x",
        "file:///etc",
        "\tx:y",
    ],
)
def test_addresses_that_run_something_are_no_links(address: str) -> None:
    assert not is_safe_address(address)
    table = Table(columns=("a",), rows=((Link("text", address),),))
    document = Document(stem="x", title="x", sections=(Section("s", (table,)),))
    assert "a" not in {name for name, _ in Elements(render_html(document)).found}


def test_names_in_tables_break_where_their_parts_end() -> None:
    long = "test_of_a_very_long_name_in_words"
    table = Table(columns=("a",), rows=((f"benchmarks/test_a.py::{long}",), (Link("a/b", "x.html"),)))
    page = render_html(Document(stem="x", title="x", sections=(Section("s", (table,)),)))
    assert "benchmarks/<wbr>test_a.py::<wbr>test_of_a_very_long_name_<wbr>in_<wbr>words" in page
    assert ">a/<wbr>b</a>" in page


def test_long_tables_are_cut_and_counted() -> None:
    table = Table(columns=("number",), rows=tuple((str(number),) for number in range(10_000)))
    page = render_html(Document(stem="x", title="x", sections=(Section("s", (table,)),)))
    assert "and 9,600 more rows" in page


def test_a_page_stays_below_its_limit_and_says_what_is_missing() -> None:
    table = Table(columns=("text",), rows=(("x" * 100_000,),) * 3)
    sections = tuple(Section(f"part {number}", (table,)) for number in range(12))
    page = render_html(replace(sample_document(), sections=sections))
    assert len(page.encode()) <= MAX_BYTES
    assert 0 < page.count("Left out: the page would exceed 2 MB.") < 12


def test_a_plot_without_figures_says_so() -> None:
    plot = LinePlot(title="Empty", x_label="x", y_label="y", series=())
    page = render_html(Document(stem="x", title="x", sections=(Section("s", (plot,)),)))
    assert "Nothing was measured for this plot." in page


def test_what_stands_between_backticks_is_code_and_escaped() -> None:
    table = Table(columns=("a",), rows=(("1",),), caption="by `perfsuite`")
    section = Section("s", ("use `--amp`", ItemList(("`<b>` and a ` alone",)), table))
    page = render_html(Document(stem="x", title="t", summary=("`a`",), sections=(section,)))
    for text in ("<p>use <code>--amp</code></p>", "<li><code>&lt;b&gt;</code> and a ` alone</li>"):
        assert text in page
    assert "<caption>by <code>perfsuite</code></caption>" in page
    assert '<p class="headline"><code>a</code></p>' in page
