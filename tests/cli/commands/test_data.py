"""`perfsuite data`: make, maps and shards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.data.sources.shards import read_shards
from tests.cli.exit_code import exit_code_of


def test_make_prints_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "p"
    assert main(["data", "make", str(folder), "--images", "4", "--classes", "2", "--size", "96x64"]) == 0
    assert len(list(folder.rglob("*.jpg"))) == 4
    assert "4 images in 2 classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--images", "0"], "expected a whole number of 1 or more"),
        (["--size", "big"], "expected WIDTHxHEIGHT"),
        (["--size", "1x1"], "sides of 32 to 8192"),
    ],
)
def test_a_usage_error_has_a_message_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert exit_code_of(["data", "make", str(tmp_path / "p"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_a_folder_with_other_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("mine")
    assert main(["data", "make", str(tmp_path)]) == 2
    assert "did not make" in capsys.readouterr().err


def test_maps_are_drawn_once_and_shards_contain_every_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "p"
    assert main(["data", "make", str(images), "--images", "5", "--classes", "2", "--size", "96x64"]) == 0
    words = ["data", "maps", str(images / "annotations.json"), str(tmp_path / "maps")]
    assert main(words) == main(words) == 0
    out = capsys.readouterr().out
    assert "5 maps drawn, 0 existed already" in out
    assert "0 maps drawn, 5 existed already" in out
    assert len(list((tmp_path / "maps").rglob("*.npy"))) == 5
    assert main(["data", "shards", str(images), str(tmp_path / "s"), "--per-shard", "2"]) == 0
    assert "5 images in 3 shards" in capsys.readouterr().out
    assert len(read_shards(tmp_path / "s")) == 5


def test_what_a_map_leaves_out_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    thing = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "segmentation": [[1, 1, 9, 1, 9, 9]]}
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 20, "height": 20}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            thing,
            thing | {"iscrowd": 1},
            thing | {"segmentation": [[1, 1, 9, 1, 5, 1]]},
            thing | {"segmentation": {"counts": [0, 400], "size": [20, 20]}},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    assert main(["data", "maps", str(tmp_path / "coco.json"), str(tmp_path / "maps")]) == 0
    out = capsys.readouterr().out
    assert "1 degenerate polygons skipped, 1 crowds and empty boxes skipped, 1 masks without" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["maps", "absent.json", "m"], "absent.json: no such file"),
        (["shards", "absent", "s"], "absent: no such"),
        (
            ["shards", "absent", "s", "--per-shard", "0"],
            "--per-shard: 0, expected a whole number of 1 or more",
        ),
    ],
)
def test_a_missing_input_is_named_and_nothing_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code_of(["data", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
