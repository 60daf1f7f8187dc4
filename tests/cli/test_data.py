from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.cli import main


def test_make_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "p"
    assert main(["data", "make", str(folder), "--images", "4", "--classes", "2", "--size", "96x64"]) == 0
    assert len(list(folder.rglob("*.jpg"))) == 4
    assert "4 pictures in 2 classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--images", "0"], "expected at least one image"),
        (["--size", "big"], "expected WIDTHxHEIGHT"),
        (["--size", "1x1"], "sides of 32 to 8192"),
    ],
)
def test_a_mistake_is_a_message_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["data", "make", str(tmp_path / "p"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("mine")
    assert main(["data", "make", str(tmp_path)]) == 2
    assert "did not make" in capsys.readouterr().err
