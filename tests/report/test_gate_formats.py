"""A gate as people and tools read it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from perfsuite.errors import StoreError
from perfsuite.judge.reports import WorkloadGateResult
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.report import formats, gate_markdown, github, html_, junit
from perfsuite.report.dot_plot import render_dot_plot
from perfsuite.report.terminal import gate
from tests.report.sample_reports import NASTY, every_outcome, many, report, workload

MOST_BYTES = 64 * 1024
EVERYWHERE = [
    "perfsuite gate --base origin/main benchmarks",  # how to repeat it
    "aaaaaaaaaaaa",
    "bbbbbbbbbbbb",
    "at most 1 %",  # chance of false alarm
    "test_a.py::test_regressed",
]


def terminal(width: int = 100) -> str:
    out = io.StringIO()
    gate.print_gate(every_outcome(), Console(file=out, width=width, no_color=True))
    return out.getvalue()


def plain(text: str) -> str:
    for escape, sign in (("&#95;", "_"), ("&#91;", "["), ("&#93;", "]"), ("&#45;", "-")):
        text = text.replace(escape, sign)
    return text


@pytest.mark.parametrize(
    "text",
    [terminal(), plain(gate_markdown.render(every_outcome())), html_.render(every_outcome())],
    ids=["terminal", "markdown", "html"],
)
def test_every_report_says_what_how_sure_and_how_to_repeat_it(text: str) -> None:
    for words in EVERYWHERE:
        assert words in text
    assert text.index("test_regressed") < text.index("test_unclear")


def test_kept_ones_are_folded_in_the_terminal() -> None:
    assert "test_kept_3" not in terminal()
    assert "10 kept" in terminal()


def test_names_cannot_steer_a_terminal_or_a_page() -> None:
    assert "\x1b[31m" not in terminal()
    for text in (gate_markdown.render(every_outcome()), html_.render(every_outcome())):
        assert "<script>" not in text
        assert "\x1b" not in text


@pytest.mark.parametrize("number", [1, 100, 3000])
def test_markdown_fits_a_comment_and_counts_what_it_left_out(number: int) -> None:
    text = gate_markdown.render(many(number))
    assert len(text.encode()) <= MOST_BYTES
    assert f"{number} regressed" in text
    if number == 3000:
        assert "more" in text


def test_markdown_starts_with_a_mark_that_a_later_run_can_find() -> None:
    assert gate_markdown.render(report()).startswith(gate_markdown.COMMENT_MARKER)


def test_junit_has_a_failure_for_each_regressed_benchmark() -> None:
    suite = ElementTree.fromstring(junit.render(every_outcome()))  # noqa: S314 - made here
    failed = {case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None}
    assert {"test_regressed", "test_broken"} <= failed
    assert suite.get("failures") == str(len(failed)) == "3"
    wrong = {case.get("name") for case in suite.iter("testcase") if case.find("error") is not None}
    assert wrong == {"test_error", "test_missing", "test_unclear"}
    assert int(suite.get("tests", 0)) == len(list(suite.iter("testcase")))


def test_annotations_stand_at_the_test_and_are_ten_at_most() -> None:
    (one,) = github.workflow_commands(report(workload("test_a.py::t", Outcome.REGRESSED, 0.05)))
    assert one.startswith("::error file=benchmarks/test_a.py,line=12,title=perfsuite%3A regressed::")
    lines = github.workflow_commands(many(25))
    assert len(lines) == 10
    assert "+16 more" in lines[-1]
    assert "test_24" in lines[0], "the worst first"


def test_an_unfit_machine_is_a_warning() -> None:
    lines = github.workflow_commands(replace(many(0), unfit=("test_a.py::t",)))
    assert lines == [
        "::warning title=perfsuite gate::machine unfit: base differs from base; no time was judged"
    ]


def test_what_has_no_number_leaves_no_gap() -> None:
    missing = WorkloadGateResult(
        "test_a.py::t", (Verdict("test_a.py::t", "time", Outcome.MISSING, "base has it"),)
    )
    (line,) = github.workflow_commands(report(missing))
    assert line == "::error title=perfsuite%3A missing::test_a.py::t: time base has it"
    assert ">missing time base has it<" in junit.render(report(missing))


def test_annotations_are_one_line_each() -> None:
    for line in github.workflow_commands(report(workload(NASTY, Outcome.REGRESSED, 0.05))):
        assert "\n" not in line
        assert "\x1b" not in line


def test_json_holds_every_number(tmp_path: Path) -> None:
    told = json.loads(formats.render_json(every_outcome()))
    assert told["exit_code"] == 1
    assert told["alpha"] == 0.01
    assert told["outcomes"]["test_a.py::test_regressed"] == "regressed"
    found = next(w for w in told["workloads"] if w["name"] == "test_a.py::test_regressed")
    assert len(found["log_ratios"]) == 18
    assert told["moved_stages"]["test_a.py::test_regressed"] == "decode"


def test_files_are_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    formats.write_reports(every_outcome(), tmp_path / "new" / "folder")
    formats.write_reports(report(), tmp_path / "new" / "folder")
    names = {path.name for path in (tmp_path / "new" / "folder").iterdir()}
    assert names == {"gate.json", "gate.md", "gate.xml", "gate.html"}
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="name a folder"):
        formats.write_reports(report(), tmp_path / "file")


@pytest.mark.parametrize("target", ["{outside}/mine.txt", "../outside/mine.txt", "{outside}/gone", "gate.md"])
def test_a_report_replaces_a_link_and_does_not_write_through_it(tmp_path: Path, target: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "report"
    outside.mkdir()
    folder.mkdir()
    (outside / "mine.txt").write_text("the user's")
    (folder / "gate.md").symlink_to(target.format(outside=outside))
    formats.write_reports(report(), folder)
    assert not (folder / "gate.md").is_symlink()
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"mine.txt": "the user's"}


def test_outside_github_nothing_is_said_to_it() -> None:
    assert formats.publish_to_github(many(3), {}) == []


@pytest.mark.parametrize(
    ("change", "ends"),
    [(0.05, ["0 %", "-5.0 %", "+5.0 %"]), (2.7, ["0 %", "3.7 x"]), (1.0, ["0 %", "2.0 x"])],
)
def test_nothing_is_shown_as_faster_than_all_of_its_time(change: float, ends: list[str]) -> None:
    drawn = ElementTree.fromstring(render_dot_plot([change], 0.01, None, None))  # noqa: S314 - made here
    assert [text.text for text in drawn.iter("text")] == ends


def test_what_was_found_before_an_interruption_is_told_as_such() -> None:
    ended = replace(many(3), interrupted=True)
    assert ended.exit_code == 130
    for text in (gate_markdown.render(ended), html_.render(ended)):
        assert "interrupted; 3 regressed" in text.replace("&#59;", ";")
    assert json.loads(formats.render_json(ended))["interrupted"] is True


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_needs_nothing_else() -> None:
    tags = Tags()
    tags.feed(html_.render(every_outcome()))
    assert not {tag for tag, _ in tags.seen} & {"script", "link", "img", "iframe"}
    assert not [attributes for _, attributes in tags.seen if {"src", "href"} & set(attributes)]
    assert len([tag for tag, _ in tags.seen if tag == "circle"]) > 100


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_draws_the_page(tmp_path: Path) -> None:
    (page,) = [path for path in formats.write_reports(every_outcome(), tmp_path) if path.suffix == ".html"]
    image = tmp_path / "page.png"
    words = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--hide-scrollbars",
    ]
    words += ["--window-size=1000,3400"]
    where = [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={image}", page.as_uri()]
    subprocess.run([str(CHROMIUM), *words, *where], check=True, capture_output=True, timeout=900)
    from PIL import Image

    drawn = Image.open(image).convert("RGB")
    colors = drawn.getcolors(maxcolors=1 << 24)
    assert drawn.size == (1000, 3400)
    assert colors is not None
    assert len(colors) > 50, "a blank page has one color"
