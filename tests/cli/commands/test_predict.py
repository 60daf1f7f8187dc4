"""`perfsuite predict`: text, JSON lines and errors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from perfsuite.cli import main
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec

SPEC = ModelSpec("small", ("cat", "dog"), image_size=32)


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    Checkpoint(SPEC, SPEC.build().state_dict()).save(tmp_path / "m.pth")
    return tmp_path / "m.pth"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (40, 30), (200, 0, 0)).save(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


def test_each_image_gets_class_probability_and_time(
    model_path: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--model-path", str(model_path), str(image), str(image)]) == 0
    loaded, *predictions = capsys.readouterr().out.splitlines()
    assert "small, 2 classes, loaded in" in loaded
    assert len(predictions) == 2
    for prediction in predictions:
        assert re.fullmatch(r".*a\.jpg: (cat|dog) \d+\.\d% \(\d+\.\d ms\)", prediction)


def test_json_has_a_line_for_each_image(
    model_path: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", "--json", "-", "--batch", "--repeat", "3", "--model-path", str(model_path)]
    assert main([*words, str(image), str(image)]) == 0
    *predictions, latency = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert predictions[0]["class"] in SPEC.class_names
    assert set(predictions[0]) == {"image", "class", "probability", "milliseconds"}
    assert set(latency["milliseconds"]) == {"p50", "p95", "p99"}


def test_an_unreadable_image_is_named_and_the_others_are_classified(
    model_path: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    assert main(["predict", "--model-path", str(model_path), str(tmp_path / "bad.jpg"), str(image)]) == 2
    output = capsys.readouterr()
    assert "bad.jpg: cannot be read as an image" in output.err
    assert "1 of 2 images could not be read" in output.err
    assert "a.jpg: " in output.out


def test_a_missing_model_is_an_error_with_a_remedy(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--model-path", str(tmp_path / "none.pth"), str(image)]) == 2
    assert "`perfsuite train --model-path" in capsys.readouterr().err


def test_json_can_go_to_a_file_beside_the_text(
    model_path: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "predictions.jsonl"
    assert main(["predict", "--json", str(target), "--model-path", str(model_path), str(image)]) == 0
    assert [json.loads(line)["image"] for line in target.read_text().splitlines()] == [str(image)]
    assert "a.jpg: " in capsys.readouterr().out
