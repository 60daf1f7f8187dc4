"""The HTML page: self-contained, and drawn by a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from perfsuite.judge.verdict import Outcome
from perfsuite.report.formats import html
from perfsuite.report.page.html import MAX_BYTES
from tests.report.sample_reports import all_outcomes, make_comparison, make_verdict, many_regressed


class TagCollector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def parse_tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    collector = TagCollector()
    collector.feed(page)
    return collector.tags


def test_the_page_is_self_contained() -> None:
    tags = parse_tags(html.render(all_outcomes()))
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe"}
    assert not [attributes for _, attributes in tags if {"src", "href"} & set(attributes)]
    assert len([tag for tag, _ in tags if tag == "circle"]) > 100


def test_the_page_begins_with_its_doctype_and_has_both_color_schemes() -> None:
    page = html.render(all_outcomes())
    assert page.startswith("<!doctype html>\n")
    assert "color-scheme: light dark" in page
    assert "@media screen and (prefers-color-scheme: dark)" in page


def test_text_is_escaped_wherever_it_is_printed() -> None:
    text = "<img src=x>\x1b[31m&"
    verdict = make_verdict(text, Outcome.REGRESSED, metric=text, reason=text)
    page = html.render(make_comparison([verdict], warnings=[text], sides=[text]))
    assert "img" not in {tag for tag, _ in parse_tags(page)}
    assert "\x1b" not in page
    assert page.count("&lt;img src=x&gt;\\x1b[31m&amp;") == 5  # name, metric, reason, note, side


def test_stages_and_changed_counters_are_tables() -> None:
    page = html.render(all_outcomes())
    assert "<tr><td>decode</td><td>8.00 ms</td><td>8.54 ms</td><td>+536 us</td></tr>" in page
    assert "<tr><td>host_syncs</td><td>0</td><td>1</td><td>+1</td></tr>" in page
    assert "1 counter is the same on both sides" in page


def test_the_legend_stands_before_the_first_plot() -> None:
    page = html.render(all_outcomes())
    assert 0 < page.index("one pair of fresh processes: head over base") < page.index('role="img"')


def test_every_plot_is_drawn_for_wide_and_narrow_screens_and_has_its_figures() -> None:
    report = all_outcomes()
    plots = sum(bool(each.log_ratios) for each in report.workloads) + len(report.null_log_ratios)
    tags = parse_tags(html.render(report))
    assert plots > 5
    assert sum(attributes.get("role") == "img" for _, attributes in tags) == 2 * plots
    assert html.render(report).count("<summary>Figures</summary>") == plots
    pairs = sum(len(each.log_ratios) for each in report.workloads)
    pairs += sum(map(len, report.null_log_ratios.values()))
    assert sum(tag == "circle" and "cy" in attributes for tag, attributes in tags) == 2 * pairs + 1, (
        "one in the legend"
    )


def test_all_plots_of_a_page_have_one_scale() -> None:
    ends = re.findall(r'text-anchor="middle">(\+[^<]*)<', html.render(all_outcomes()))
    assert len(ends) > 10
    assert len(set(ends)) == 1


def test_the_page_can_be_scrolled_with_the_keyboard() -> None:
    tags = parse_tags(html.render(all_outcomes()))
    scrollable = [attributes for _, attributes in tags if attributes.get("class") == "wide-table"]
    assert sum(tag == "table" for tag, _ in tags) == len(scrollable)
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in scrollable)
    assert ":focus-visible" in html.render(all_outcomes())


@pytest.mark.parametrize("number", [3, 1000])
def test_a_large_page_stays_below_its_limit_and_counts_what_is_missing(number: int) -> None:
    page = html.render(many_regressed(number))
    assert len(page.encode()) <= MAX_BYTES
    shown = page.count("<article")
    assert ("more that are not kept" in page) == (shown < number)
    assert ("Its plot is left out" in page) == (number == 1000)


def test_a_comparison_has_no_dots_to_explain() -> None:
    page = html.render(make_comparison([make_verdict("t", Outcome.REGRESSED, 0.1)]))
    assert "<h1>1 regressed</h1>" in page
    assert "one pair of fresh processes" not in page


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_draws_the_page(tmp_path: Path) -> None:
    page, screenshot = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text(html.render(all_outcomes()))
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--hide-scrollbars",
        "--window-size=1000,3400",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--screenshot={screenshot}",
    ]
    command = [str(CHROMIUM), *options, page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=900)
    from PIL import Image

    image = Image.open(screenshot).convert("RGB")
    colors = image.getcolors(maxcolors=1 << 24)
    assert image.size == (1000, 3400)
    assert colors is not None
    assert len(colors) > 50, "a blank page has one color"
