"""`perfsuite profile`: tables, JSON and usage errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perfsuite.advise.profile import loading, transforms
from perfsuite.advise.profile.loading import LoadingProfile, StageRate
from perfsuite.cli import main
from perfsuite.data.synthetic import dataset
from perfsuite.errors import UsageError
from tests.advise.inputs import user_things
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
    assert "perfsuite profile: pipeline 'wild', expected one of" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    ("shares", "line"),
    [
        (  # the figures of a report that splits its overhead
            {"augment": 0.15, "random numbers": 0.05, "collate": 0.03},
            "augmentation 23.0% of loading (transforms 15.0%, random numbers 5.0%, memory 3.0%), 29.9% over",
        ),
        (  # 11.5 of 35.2 ms
            {"augment": 11.5 / 35.2},
            "augmentation 32.7% of loading (transforms 32.7%, random numbers 0.0%, memory 0.0%), 48.5% over",
        ),
        ({}, "reading 10.0% of loading, computing 90.0%"),
    ],
)
def test_augmentation_is_stated_as_a_share_of_loading_and_over_plain_loading(
    shares: dict[str, float],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stages = {**shares, "read": 0.1, "decode": 0.9 - sum(shares.values())}
    invented = LoadingProfile(64, tuple(StageRate(name, 100 / each, each) for name, each in stages.items()))
    monkeypatch.setattr(loading, "profile_loading", lambda loader, seconds: invented)
    folder = dataset.make_dataset(tmp_path / "images", images=12, classes=2, size=(80, 60))
    assert main(["profile", "loading", "--data-dir", str(folder)]) == 0
    out = capsys.readouterr().out
    assert line in out
    assert ("augmentation" in out) == bool(shares)


@pytest.mark.parametrize("action", ["loading", "step"])
def test_a_damaged_image_is_skipped_and_listed(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = dataset.make_dataset(tmp_path / "images", images=12, classes=2, size=(80, 60))
    for number in range(6):  # too many for the test and validation splits together
        (folder / "class_00" / f"broken{number}.jpg").write_bytes(b"")
    quick = ["profile", action, "--data-dir", str(folder), "--image-size", "32", "--batch-size", "16"]
    quick += ["--seconds", "0.1", *(("--num-workers", "0") if action == "step" else ())]
    assert main(quick) != 0, "the negative control"
    assert main([*quick, "--on-error", "skip"]) == 0
    assert re.search(r"images: \d+ times? an image .*\n  .*broken\d\.jpg: ", capsys.readouterr().err)


def test_loading_for_no_time_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(["profile", "loading", "--seconds", "0"]) == 2
    assert "expected a time above 0" in capsys.readouterr().err


OWN = "tests.advise.inputs.user_things"


def test_a_step_of_the_users_own_loader_and_model_has_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "profile",
        "step",
        "--loader",
        f"{OWN}:make_loader",
        "--model",
        f"{OWN}:Net",
        "--batch-size",
        "4",
    ]
    assert main([*words, "--seconds", "0.01", "--num-workers", "0"]) == 0
    out = capsys.readouterr().out
    for word in ("forward", "backward", "optimize", "dataset", "without it at most", "an epoch of 24 images"):
        assert word in out


def test_loading_of_the_users_own_data_set_has_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["profile", "loading", "--dataset", f"{OWN}:Images", "--seconds", "0.05", "--cold-files"]) == 0
    )
    out = capsys.readouterr().out
    assert "collate" in out
    assert "cold files: not measured; the loader has no files of its own" in out


def test_a_loader_beside_a_folder_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "loading", "--dataset", f"{OWN}:Images", "--data-dir", "x"]) == 2
    assert "--data-dir and --dataset, expected one of them" in capsys.readouterr().err


def test_a_table_of_an_earlier_size_is_not_lost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = transforms.profile_pipeline

    def fail_at_the_second_size(steps: Any, sample: Any, seconds: float) -> Any:
        if sample.image.shape[0] == 32:
            raise UsageError("planted")
        return plain(steps, sample, seconds)

    monkeypatch.setattr(transforms, "profile_pipeline", fail_at_the_second_size)
    assert main([*QUICK, "--input-size", "32x32", "--keypoints", "0", "--pipeline", "operations"]) == 2
    assert "operations at 64x48" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["profile", "loading"], ["profile", "step"], ["claims"], ["scaling"]])
@pytest.mark.parametrize(
    ("words", "message"),
    [(["--data-dir", "nowhere"], "no such folder"), (["--data-dir", "."], "no images found")],
)
def test_a_folder_without_images_is_refused(
    command: list[str],
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command, *words]) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_decoder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "loading", "--decoder", "foo"]) == 2
    assert "decoder: 'foo', expected auto or one of pillow" in capsys.readouterr().err


def test_whole_processes_are_timed_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["profile", "processes", "--command", "none=true", "--command", "echo a=1", "--seconds", "0.01"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["real", "user", "system"]
    assert [line.split("  ")[0].strip() for line in lines[1:3]] == ["none", "echo a=1"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("absent-program-of-mine", "No such file or directory, expected a program that runs"),
        ("false", "exit 1, expected 0"),
        ("'open", "expected words as in a shell"),
        ("", "no words, expected a command"),
    ],
)
def test_a_command_that_fails_is_named(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", "processes", "--command", command, "--seconds", "0.01"]) != 0
    assert message in capsys.readouterr().err


class StoppedBatches:
    """Six batches, and then the user presses Ctrl-C."""

    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        yield from self._batches
        raise KeyboardInterrupt


@pytest.mark.parametrize("action", [["loading"], ["step", "--model", f"{OWN}:Net", "--num-workers", "0"]])
def test_an_interrupted_profile_has_the_table_until_then(
    action: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_things, "plain_batches", StoppedBatches(user_things.plain_batches))
    assert main(["profile", *action, "--loader", f"{OWN}:plain_batches", "--seconds", "60"]) == 130
    out, err = capsys.readouterr()
    assert "share" in out
    assert "interrupted: these are the results until then" in err
