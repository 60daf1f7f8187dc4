"""Where reports are written: a terminal, a folder, GitHub."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from perfsuite.errors import StoreError
from perfsuite.judge.verdict import Outcome
from perfsuite.report import publish
from perfsuite.report.formats.registry import FORMATS
from tests.report.sample_reports import (
    all_outcomes,
    make_comparison,
    make_gate_report,
    make_verdict,
    many_regressed,
)

GITHUB = {"GITHUB_ACTIONS": "true"}
EXTENSIONS = {each.extension for each in FORMATS.values() if each.extension is not None}


def test_files_are_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    publish.write_reports(all_outcomes(), folder)
    paths = publish.write_reports(make_gate_report(), folder)
    assert set(folder.iterdir()) == set(paths)
    assert {path.name for path in paths} == {f"gate{end}" for end in EXTENSIONS}
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="name a folder"):
        publish.write_reports(make_gate_report(), tmp_path / "file")


def test_a_comparison_has_the_same_files(tmp_path: Path) -> None:
    paths = publish.write_reports(make_comparison([]), tmp_path)
    assert {path.name for path in paths} == {f"comparison{end}" for end in EXTENSIONS}


@pytest.mark.parametrize("target", ["{outside}/mine.txt", "../outside/mine.txt", "{outside}/gone", "gate.md"])
def test_a_report_replaces_a_link_and_does_not_write_through_it(tmp_path: Path, target: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "report"
    outside.mkdir()
    folder.mkdir()
    (outside / "mine.txt").write_text("the user's")
    (folder / "gate.md").symlink_to(target.format(outside=outside))
    publish.write_reports(make_gate_report(), folder)
    assert not (folder / "gate.md").is_symlink()
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"mine.txt": "the user's"}


def test_outside_github_nothing_is_written_for_it() -> None:
    assert publish.publish_to_github(many_regressed(3), {}) == ""


def test_in_a_github_job_summary_outputs_and_annotations_are_written(tmp_path: Path) -> None:
    summary, outputs = tmp_path / "summary", tmp_path / "outputs"
    files = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(outputs)}
    annotations = publish.publish_to_github(many_regressed(3), GITHUB | files)
    assert annotations.count("::error ") == 3
    assert "3 regressed" in summary.read_text()
    assert "exit-code=1\n" in outputs.read_text()
    assert "regressed=3\n" in outputs.read_text()


@pytest.mark.parametrize("name", ["::stop-commands::x", "x" * 100 + "::error::y" * 30, "a ##[add-mask]b"])
def test_in_a_github_job_no_printed_line_is_a_workflow_command(name: str) -> None:
    report = make_comparison(
        [make_verdict(name, Outcome.REGRESSED, reason=name)], sides=[name], warnings=[name]
    )
    outside, inside = io.StringIO(), io.StringIO()
    publish.print_report(report, outside, {})
    publish.print_report(report, inside, GITHUB)
    commands = [
        [line for line in text.getvalue().splitlines() if line.lstrip().startswith("::") or "##[" in line]
        for text in (outside, inside)
    ]
    assert commands[0], "without disarming there is one"
    assert not commands[1]
