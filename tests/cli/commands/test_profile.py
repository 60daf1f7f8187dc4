"""`perfsuite profile`: tables, JSON and usage errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.data.synthetic import dataset
from tests.cli.exit_code import exit_code_of

QUICK = ["profile", "transforms", "--input-size", "64x48", "--seconds", "0.02", "--output-size", "32"]


def test_the_table_has_each_step_the_sum_and_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--pipeline", "moderate"]) == 0
    out = capsys.readouterr().out
    for word in ("moderate at 64x48", "17 keypoints", "random numbers", "geometry", "color", "normalize"):
        assert word in out
    for word in ("std", "share", "sum", "whole", "slowest:"):
        assert word in out


def test_each_input_size_has_a_profile(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--input-size", "32x32", "--keypoints", "0", "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [profile["shape"] for profile in report["profiles"]] == [[48, 64, 3], [32, 32, 3]]
    assert all(profile["whole"]["seconds"] for profile in report["profiles"])


def test_an_unknown_pipeline_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--pipeline", "wild"]) == 2
    assert "perfsuite profile: profile: pipeline 'wild', expected one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--seconds", "0", "a time above 0"),
        ("--keypoints", "-1", "a whole number of 0 or more"),
        ("--output-size", "0", "a whole number of 1 or more"),
        ("--input-size", "64", "WIDTHxHEIGHT"),
        ("--input-size", "0x4", "WIDTHxHEIGHT"),
        ("--input-size", "axb", "WIDTHxHEIGHT"),
    ],
)
def test_numbers_out_of_range_are_usage_errors(
    option: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of([*QUICK, f"{option}={value}"]) == 2
    assert f"argument {option}: " in (err := capsys.readouterr().err)
    assert f"expected {expected}" in err


def test_the_table_of_loading_has_a_row_for_each_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = dataset.make_dataset(tmp_path / "images", images=12, classes=2, size=(80, 60))
    quick = ["profile", "loading", "--data-dir", str(folder), "--image-size", "32", "--batch-size", "4"]
    assert main([*quick, "--seconds", "0.1", "--augmentation-mode", "moderate"]) == 0
    out = capsys.readouterr().out
    for word in ("on one core", "images/s", "share", "decode", "augment", "normalize", "slowest:", "try:"):
        assert word in out
    assert main([*quick, "--seconds", "0.1", "--json", "-"]) == 0
    assert {stage["name"] for stage in json.loads(capsys.readouterr().out)["stages"]} >= {"decode", "read"}


def test_loading_for_no_time_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(["profile", "loading", "--seconds", "0"]) == 2
    assert "expected a time above 0" in capsys.readouterr().err
