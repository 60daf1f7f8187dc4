"""`perfsuite sweep`: its tables and figures, settings from a file, mistakes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from perfsuite.advise.sweep import measure
from perfsuite.cli import main, sweep
from perfsuite.data.synthetic import dataset
from perfsuite.errors import UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.make_dataset(tmp_path_factory.mktemp("p") / "p", images=8, classes=2, size=(80, 60))


@pytest.fixture
def quick(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(measure, "TURN_SECONDS", 0.001)
    small = ["--image-size", "32", "--batch-size", "4", "--seconds", "0.01"]
    return ["sweep", "--data-dir", str(folder), *small]


def parsed(*words: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    sweep.add_arguments(parser)
    return sweep.merged_options(parser.parse_args(words))


def test_tables_checks_and_advice_are_shown_and_written(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = tmp_path / "sweep.json"
    assert main([*quick, "--workers", "0", "1", "--engine", "threads", "--json", str(told)]) == 0
    out, err = capsys.readouterr()
    for word in (
        "images/s",
        "batches/s",
        "augmenting",
        "p99",
        "deviation",
        "prefetched",
        "num_workers=",
    ):
        assert word in out
    for word in ("1 threads +2", "0 inline", "the same batches, bit for bit"):
        assert word in out
    assert "warming up" in err
    found = json.loads(told.read_text())
    assert [one["setting"]["workers"] for one in found["settings"]] == [0, 1]
    assert {check["metric"] for check in found["checks"]} >= {"images_per_second", "overhead", "repeats"}
    assert found["advice"]


def test_with_check_a_broken_target_is_an_exit_code(
    quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from perfsuite.advise.sweep import results as judged
    from perfsuite.judge.limits import LimitType

    few = [*quick, "--workers", "0", "--mode", "none"]
    monkeypatch.setattr(judged, "TARGETS", ((LimitType.FLOOR, "images_per_second", 1e-6),))
    assert main([*few, "--check"]) == 0
    monkeypatch.setattr(judged, "TARGETS", ((LimitType.FLOOR, "images_per_second", 1e12),))
    assert main([*few, "--check"]) == 1
    assert main(few) == 0


def test_a_csv_beside_a_folder(quick: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*quick, "--csv", str(folder / "labels.csv"), "--workers", "0", "--mode", "none"]) == 0
    assert "0 inline" in capsys.readouterr().out


def test_the_command_line_is_above_the_file_and_the_file_above_the_defaults(tmp_path: Path) -> None:
    settings = tmp_path / "sweep.toml"
    settings.write_text(
        'workers = [0, 2]\nbatch-size = 8\ndata_dir = "images"\nengine = "threads"\ncheck = true\n'
    )
    told = parsed("--settings", str(settings), "--batch-size", "16")
    assert (told["workers"], told["engine"], told["batch_size"]) == ([0, 2], ["threads"], 16)
    assert (told["mode"], told["check"], told["data_dir"]) == ("moderate", True, tmp_path / "images")
    assert parsed()["workers"] == [0, 1, 2, 4, 8]


@pytest.mark.parametrize(
    ("written", "said"),
    [("worker = 2", "'worker', expected one of data_dir"), ("workers = ", "expected TOML")],
)
def test_a_file_with_a_mistake_is_named(tmp_path: Path, written: str, said: str) -> None:
    settings = tmp_path / "sweep.toml"
    settings.write_text(written)
    with pytest.raises(UsageError, match=said):
        parsed("--settings", str(settings))


def test_a_value_of_the_file_is_checked_as_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "sweep.toml"
    settings.write_text("workers = [-1]")
    with pytest.raises(SystemExit) as stopped:
        parsed("--settings", str(settings))
    assert stopped.value.code == 2
    assert f"{settings}: error: argument --workers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--engine", "magic", "--workers", "1"], "engine: 'magic'"),
        (["--mode", "wild"], "'wild', expected one of none"),
        (["--seconds", "0"], "expected more than 0"),
        (["--csv", "absent.csv"], "absent.csv: no such file"),
        (["--settings", "absent.toml"], "absent.toml"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    quick: list[str], wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*quick, *wrong]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_is_not_there_says_how_to_make_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--data-dir", "absent"]) == 2
    assert "perfsuite data make" in capsys.readouterr().err
