"""`perfsuite profile transforms`: the table, the JSON, the mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.data.synthetic import dataset

QUICK = ["profile", "transforms", "--size", "64x48", "--seconds", "0.02", "--frame", "32"]


def test_the_table_shows_each_step_the_sum_and_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--pipeline", "moderate"]) == 0
    shown = capsys.readouterr().out
    for word in ("moderate at 64x48", "17 keypoints", "random numbers", "geometry", "color", "normalize"):
        assert word in shown
    for word in ("deviation", "share", "sum", "whole", "slowest:"):
        assert word in shown


def test_several_sizes_give_several_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--size", "32x32", "--keypoints", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["shape"] for one in found["profiles"]] == [[48, 64, 3], [32, 32, 3]]
    assert all(one["whole"]["seconds"] for one in found["profiles"])


@pytest.mark.parametrize(
    "wrong", [["--pipeline", "wild"], ["--seconds", "0"], ["--keypoints", "-1"], ["--frame", "0"]]
)
def test_mistakes_are_told_without_a_traceback(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, *wrong]) == 2
    assert "perfsuite profile: profile: " in capsys.readouterr().err


@pytest.mark.parametrize("size", ["64", "0x4", "axb"])
def test_a_size_that_is_none_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["profile", "transforms", "--size", size])
    assert "expected width x height" in capsys.readouterr().err


def test_loading_is_profiled_by_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = dataset.make_dataset(tmp_path / "images", images=12, classes=2, size=(80, 60))
    quick = ["profile", "loading", "--data-dir", str(folder), "--image-size", "32", "--batch-size", "4"]
    assert main([*quick, "--seconds", "0.1", "--mode", "moderate"]) == 0
    shown = capsys.readouterr().out
    for word in ("on one core", "images/s", "share", "decode", "augment", "normalize", "slowest:", "try:"):
        assert word in shown
    assert main([*quick, "--seconds", "0.1", "--json"]) == 0
    assert {stage["name"] for stage in json.loads(capsys.readouterr().out)["stages"]} >= {"decode", "read"}


def test_loading_for_no_time_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "loading", "--seconds", "0"]) == 2
    assert "expected more than 0" in capsys.readouterr().err
