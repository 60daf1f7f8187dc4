from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.data.sources.shards import read_shards


def test_make_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "p"
    assert main(["data", "make", str(folder), "--images", "4", "--classes", "2", "--size", "96x64"]) == 0
    assert len(list(folder.rglob("*.jpg"))) == 4
    assert "4 images in 2 classes" in capsys.readouterr().out


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


def test_maps_are_drawn_once_and_shards_hold_every_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "p"
    assert main(["data", "make", str(images), "--images", "5", "--classes", "2", "--size", "96x64"]) == 0
    words = ["data", "maps", str(images / "annotations.json"), str(tmp_path / "maps")]
    assert main(words) == main(words) == 0
    told = capsys.readouterr().out
    assert "5 maps drawn, 0 were there already" in told
    assert "0 maps drawn, 5 were there already" in told
    assert len(list((tmp_path / "maps").rglob("*.npy"))) == 5
    assert main(["data", "shards", str(images), str(tmp_path / "s"), "--per-shard", "2"]) == 0
    assert "5 images in 3 shards" in capsys.readouterr().out
    assert len(read_shards(tmp_path / "s")) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["maps", "absent.json", "m"], "absent.json: no such file"),
        (["shards", "absent", "s"], "absent: no such"),
        (["shards", "absent", "s", "--per-shard", "0"], "--per-shard is 0"),
    ],
)
def test_what_is_not_there_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
