"""`perfsuite advise` in this process, on few small images; no time is asserted."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from perfsuite.advise.sweep import measure
from perfsuite.cli import main
from perfsuite.cli.progress import ProgressLine
from perfsuite.data.speed_settings import read_speed_settings
from perfsuite.data.synthetic import dataset
from tests.one_thread import one_thread  # noqa: F401 - is used by being here

OWN = "tests.advise.inputs.user_things"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.make_dataset(tmp_path_factory.mktemp("p") / "p", images=8, classes=2, size=(80, 60))


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Few short turns, with the settings written into the test's own folder."""
    monkeypatch.setattr(measure, "TURN_SECONDS", 0.001)
    return ["advise", "--seconds", "0.1", "--settings", str(tmp_path / "s.toml"), "--batch-size", "4"]


def images(folder: Path) -> list[str]:
    return ["--data-dir", str(folder), "--image-size", "32", "--num-workers", "0", "1", "--engine", "threads"]


def test_a_folder_gives_settings_a_verdict_and_a_page(
    quick: list[str], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--decoder", "pillow", "--json", str(tmp_path / "a.json"), "--report", str(tmp_path / "page")]
    assert main([*quick, *images(folder), *more]) == 0
    out, err = capsys.readouterr()
    for word in (
        "bottleneck: ",
        "knee: ",
        "set batch_size=4, num_workers=",
        "training an epoch of 8 images",
    ):
        assert word in out
    assert "left in all" in err
    settings = read_speed_settings(tmp_path / "s.toml")
    assert settings.batch_size == 4
    assert settings.decoder == "pillow"
    figures = json.loads((tmp_path / "a.json").read_text())
    assert figures["diagnosis"]["bottleneck"]
    assert {row["name"] for row in figures["modes"]} >= {
        "loading, as advised",
        "loading, augmentation none",
        "loading, decoded images in memory",
        "training: loading and the step",
    }
    assert "decode" in figures["stage_seconds"]
    assert "Loader settings" in (tmp_path / "page" / "advise.html").read_text()


@pytest.mark.parametrize("name", ["dict_loader", "dataclass_loader"])
def test_loaders_with_batches_of_any_form_are_advised_on(
    quick: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*quick, "--loader", f"{OWN}:{name}", "--num-workers", "0", "--model", f"{OWN}:Net"]) == 0
    out = capsys.readouterr().out
    assert "bottleneck: " in out
    assert "training an epoch of 24 images" in out


def test_batches_without_labels_are_loaded_and_the_missing_training_is_named(
    quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*quick, "--loader", f"{OWN}:unlabeled_loader", "--num-workers", "0"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "training: not measured" in out
    assert "bottleneck: " in out
    assert main([*words, "--model", f"{OWN}:Net"]) == 2  # a model that was named must be trainable


def test_a_loader_that_hangs_is_an_error_that_says_so(
    quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*quick, "--loader", f"{OWN}:hanging_loader", "--num-workers", "0", "--timeout", "0.5"]
    assert main(words) == 2
    assert "it hangs or is very slow" in " ".join(capsys.readouterr().err.split())


def test_a_loader_that_raises_is_an_error_that_names_it(
    quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*quick, "--loader", f"{OWN}:failing_loader", "--num-workers", "0"]) == 2
    assert "failing_loader: ZeroDivisionError" in capsys.readouterr().err


def test_workers_that_die_are_left_out_with_a_way_out(
    quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--loader", f"{OWN}:dying_loader", "--num-workers", "0", "1"]
    assert main([*quick, *words, "--seconds", "4"]) == 0  # else the time is over before the workers start
    out = capsys.readouterr().out
    assert "failed and is left out" in " ".join(out.split())
    assert "set batch_size=4, num_workers=0" in out


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "perfsuite data make"),
        (lambda path: path.mkdir(), "expected"),
        (lambda path: fill(path, b"not a JPEG"), "image"),
    ],
    ids=["absent", "empty", "all corrupt"],
)
def test_a_folder_without_a_readable_image_is_an_error(
    quick: list[str], tmp_path: Path, make: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    make(folder)  # type: ignore[operator]
    assert main([*quick, *images(folder)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s.toml").exists()


def fill(folder: Path, content: bytes) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").write_bytes(content)


def test_one_image_is_enough(quick: list[str], folder: Path, tmp_path: Path) -> None:
    image = next(folder.rglob("*.jpg"))
    one = tmp_path / "one"
    fill(one, image.read_bytes())
    (one / "b" / "1.jpg").unlink()
    (one / "b").rmdir()
    assert main([*quick, *images(one), "--decoder", "pillow"]) == 0


@pytest.mark.parametrize("when", ["pipeline: warming up", "pipeline: 1 blocks"])
def test_sigterm_keeps_what_was_measured(
    when: str,
    quick: list[str],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def terminate_in_the_pipeline(line: ProgressLine, message: str) -> None:
        if when in message:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(ProgressLine, "__call__", terminate_in_the_pipeline)
    assert main([*quick, *images(folder), "--decoder", "pillow"]) == 130
    out = capsys.readouterr().out
    assert "interrupted: these are the results until then" in out
    assert ("bottleneck: " in out) is ("blocks" in when)
    assert (tmp_path / "s.toml").exists()


def test_a_file_of_somebody_else_is_not_replaced(
    quick: list[str], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.toml").write_text("[project]\n")
    assert main([*quick, *images(folder)]) == 2
    assert "was not written by this command" in capsys.readouterr().err
    assert (tmp_path / "s.toml").read_text() == "[project]\n"
