"""`--report DIR`: folders that cannot be written are refused before anything is measured."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from perfsuite.cli.report_option import report_folder
from tests.cli.exit_code import exit_code_of


def test_a_folder_that_does_not_exist_yet_is_accepted(tmp_path: Path) -> None:
    assert report_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for text in ("file", "file/below"):
        with pytest.raises(argparse.ArgumentTypeError, match="is a file, expected a folder"):
            report_folder(str(tmp_path / text))


@pytest.mark.parametrize(
    "words",
    [
        ["sweep"],
        ["claims"],
        ["scaling"],
        ["compare", "a", "b"],
        ["profile", "transforms"],
        ["profile", "loading"],
        ["profile", "step"],
        ["profile", "processes", "--command", "true"],
    ],
    ids=" ".join,
)
def test_every_measuring_command_refuses_it_at_once(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert exit_code_of([*words, "--report", str(tmp_path / "file")]) == 2
    assert "is a file, expected a folder" in capsys.readouterr().err
