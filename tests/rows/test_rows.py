"""The page of rows: every id has a row, and a command that fails is shown as failing."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.rows.__main__ import main, render_page, run_rows
from benchmarks.rows.row import CommandOutput, Row, command_words, judge_row, run_command
from benchmarks.rows.table import ROW_IDS, SETUP, rows
from perfsuite.cli.program import command_names

SOUND = Row(id="A1", what="", command="python -c 'print(42, \"images\")'", figure=r"\d+ images")


def test_every_id_has_one_row() -> None:
    assert len(ROW_IDS) == 49
    assert [row.id for row in rows(60, 5)] == list(ROW_IDS)


def test_every_command_is_complete_and_each_pattern_compiles() -> None:
    for row in rows(60, 5):
        words = command_words(row.command)
        assert not re.search(r"\{(seconds|rounds)\}", row.command)
        assert re.compile(row.figure)
        if row.command.startswith("pytest "):
            assert Path(words[3]).is_file(), row.id


def test_a_planted_failing_command_is_shown_as_failing_and_stops_no_other(tmp_path: Path) -> None:
    failing = Row(
        id="A2", what="", command="python -c 'raise SystemExit(\"a | planted <fault>\")'", figure="."
    )
    silent = Row(id="A3", what="", command="python -c pass", figure=r"\d+ images")
    absent = Row(id="A4", what="", command="no-such-program", figure=".")
    results = list(run_rows([failing, silent, absent, SOUND], tmp_path, False))
    assert [result.verdict for result in results] == ["fails", "fails", "fails", "works"]
    assert results[-1].figures == ("42 images",)
    page = render_page(results, False)
    assert "| fails: exit code 1: a &#124; planted &lt;fault&gt; |" in page
    assert "printed nothing that matches" in page


def test_rows_with_the_same_command_share_its_output(tmp_path: Path) -> None:
    calls: list[Sequence[str]] = []

    def run(words: Sequence[str], folder: Path, seconds: float) -> CommandOutput:
        calls.append(words)
        return CommandOutput(0, "\x1b[1m7 images\x1b[0m")

    results = list(run_rows([SOUND, SOUND], tmp_path, False, run))
    assert (len(calls), [result.figures for result in results]) == (1, [("7 images",)] * 2)


def test_what_needs_a_gpu_or_a_package_says_so(tmp_path: Path) -> None:
    def row(**more: object) -> Row:
        return Row(id="A1", what="", command="python -c pass", figure="x", **more)  # type: ignore[arg-type]

    (gpu, package) = run_rows([row(is_gpu_only=True), row(package="no_such_package")], tmp_path, False)
    assert gpu.verdict == "needs a GPU"
    assert (package.verdict, package.reason) == ("in part", "not run: no_such_package is not installed")
    printed = CommandOutput(0, "x")
    assert judge_row(row(gpu_part="memory"), printed, has_gpu=False).verdict == "in part"
    assert judge_row(row(gpu_part="memory"), printed, has_gpu=True).verdict == "works"
    assert judge_row(row(), CommandOutput(None, ""), has_gpu=False).reason.startswith("ran out of time")


def test_a_command_that_does_not_end_is_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import time; time.sleep(600)"]
    assert run_command(words, tmp_path, 0.5).exit_code is None


def test_an_unknown_id_is_a_usage_error() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "Z9"])


def test_the_set_up_uses_known_commands() -> None:
    assert all(command_words(command)[3] in command_names() for command in SETUP)
