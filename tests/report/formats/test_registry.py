"""The registry: a new file is a new format, and every format keeps the same promises."""

from __future__ import annotations

import html
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from perfsuite.discovery import discover
from perfsuite.judge.verdict import Outcome
from perfsuite.report import formats
from perfsuite.report.formats.registry import FORMATS
from perfsuite.report.formats.report_format import ReportFormat
from perfsuite.report.report import report_gate
from tests.report.sample_reports import HOSTILE_NAME, all_outcomes, many_regressed_gate

FOR_PEOPLE = ["terminal", "markdown", "html", "junit"]


def render(name: str) -> str:
    """Render every outcome, with the escapes of the format undone as its reader does."""
    return html.unescape(FORMATS[name].render(all_outcomes()))


def test_every_file_of_the_folder_is_a_format() -> None:
    stems = {path.stem for path in Path(formats.__path__[0]).glob("*.py")}
    modules = stems - {"__init__", "registry", "report_format"}
    assert set(FORMATS) == {module.rstrip("_") for module in modules}
    assert {"terminal", "markdown", "html", "json", "junit", "github"} <= set(FORMATS)


def test_a_new_file_is_a_new_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "planted_formats"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "headline.py").write_text(
        "from perfsuite.report.formats.report_format import ReportFormat\n"
        "FORMAT = ReportFormat(lambda report: report.headline, '.txt')\n"
    )
    (package / "something_else.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    loaded = discover(import_module("planted_formats"), "FORMAT", ReportFormat)
    assert list(loaded) == ["headline"]
    assert loaded["headline"].render(all_outcomes()) == all_outcomes().headline
    for name in [name for name in sys.modules if name.startswith("planted_formats")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("name", FOR_PEOPLE)
@pytest.mark.parametrize(
    "text",
    [
        "perfsuite gate --base origin/main benchmarks",  # the command that repeats it
        "aaaaaaaaaaaa",
        "bbbbbbbbbbbb",
        "at most 1 %",  # the chance of a false alarm
        "test_regressed",
    ],
)
def test_a_report_for_people_states_what_how_certain_and_how_to_repeat_it(name: str, text: str) -> None:
    assert text in render(name)


@pytest.mark.parametrize("name", [*FOR_PEOPLE, "github"])
def test_the_worst_comes_first(name: str) -> None:
    text = render(name)
    if name == "github":  # only red workloads are annotated
        assert text.index("test_regressed") < text.index("test_missing")
    else:
        assert text.index("test_regressed") < text.index("test_unclear")


@pytest.mark.parametrize("name", FORMATS)
def test_no_name_controls_a_terminal_or_a_page(name: str) -> None:
    text = FORMATS[name].render(all_outcomes())
    assert "\x1b" not in text
    assert HOSTILE_NAME not in text
    if FORMATS[name].extension in {".md", ".html", ".xml"}:
        assert "<script>" not in text


@pytest.mark.parametrize("name", [*FOR_PEOPLE, "json"])
def test_an_interrupted_gate_is_marked_as_such(name: str) -> None:
    report = report_gate(replace(many_regressed_gate(3), interrupted=True))
    assert report.exit_code == 130
    assert f"interrupted; 3 {Outcome.REGRESSED}" in html.unescape(FORMATS[name].render(report))
