from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from perfsuite.errors import DataError
from perfsuite.training.models import make_model
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec

SPEC = ModelSpec("small", ("cat", "dog"), image_size=32)


CONTENT = {
    "perfsuite": 2,
    "model_spec": {"model": "small", "class_names": ["a", "b"], "image_size": 8, "mean": [0], "std": [1]},
    "weights": {},
    "training": {},
}


def save(path: Path) -> Path:
    Checkpoint(SPEC, SPEC.build().state_dict()).save(path)
    return path


def test_a_saved_checkpoint_loads_unchanged(tmp_path: Path) -> None:
    model = SPEC.build()
    path = tmp_path / "new" / "m.pth"
    Checkpoint(SPEC, model.state_dict(), {"steps_done": 3}).save(path)
    loaded = Checkpoint.load(path)
    assert loaded.spec == SPEC
    assert loaded.training == {"steps_done": 3}
    copy = loaded.spec.build()
    loaded.load_into(copy)
    assert all(torch.equal(a, b) for a, b in zip(copy.parameters(), model.parameters(), strict=True))
    assert [file.name for file in path.parent.iterdir()] == ["m.pth"]


def test_a_missing_checkpoint_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such checkpoint; `perfsuite train --model-path"):
        Checkpoint.load(tmp_path / "m.pth")


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint_is_named(fraction: float, tmp_path: Path) -> None:
    path = save(tmp_path / "m.pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * fraction)])
    with pytest.raises(DataError, match=r"m\.pth: damaged, or not a checkpoint"):
        Checkpoint.load(path)


def test_flipped_bytes_raise_nothing_but_data_errors(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pth")
    whole = path.read_bytes()
    rng = random.Random(0)
    for _ in range(60):
        damaged = bytearray(whole)
        # The archive's directory and the pickled structure are at its two ends.
        offset = rng.choice([rng.randrange(3000), len(whole) - 1 - rng.randrange(3000)])
        damaged[offset] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            loaded = Checkpoint.load(path)
            loaded.load_into(loaded.spec.build())
        except DataError:
            pass


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "code ran"

    class Malicious:
        def __reduce__(self) -> Any:
            return Path.touch, (marker,)

    torch.save({"perfsuite": 2, "model_spec": Malicious()}, tmp_path / "m.pth")
    with pytest.raises(DataError, match="that could run code"):
        Checkpoint.load(tmp_path / "m.pth")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (make_model("small", 2).state_dict(), "no perfsuite checkpoint"),
        ([1, 2], "no perfsuite checkpoint"),
        ({"perfsuite": 99}, "format 99, expected 2"),
        # The keys of format 1, which no longer loads.
        ({"perfsuite": 1, "recipe": {}}, "checkpoint format 1, expected 2; train again"),
        ({"perfsuite": 2, "model_spec": {}}, "incomplete checkpoint"),
        (
            {
                "perfsuite": 2,
                "model_spec": {
                    "model": "vgg",
                    "class_names": ["a"],
                    "image_size": 8,
                    "mean": [0],
                    "std": [1],
                },
                "weights": {},
                "training": {},
            },
            "holds a 'vgg', expected one of small",
        ),
        (CONTENT | {"weights": {"head.bias": "text"}}, "weight 'head.bias' is str, expected a tensor"),
        (CONTENT | {"weights": [1, 2]}, "incomplete checkpoint"),
    ],
)
def test_other_torch_files_are_refused(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(DataError, match=message):
        Checkpoint.load(tmp_path / "m.pth")


@pytest.mark.parametrize(("model", "classes"), [("small", 3), ("resnet18", 2)])
def test_weights_of_another_shape_change_nothing(model: str, classes: int) -> None:
    checkpoint = Checkpoint(SPEC, SPEC.build().state_dict())
    other = make_model(model, classes)
    before = [parameter.clone() for parameter in other.parameters()]
    with pytest.raises(DataError, match="another architecture or class count"):
        checkpoint.load_into(other)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), before, strict=True))


def test_the_old_file_survives_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "m.pth")
    before = path.read_bytes()

    def fail_on_full_disk(content: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fail_on_full_disk)
    with pytest.raises(DataError, match=r"No space left on device.*the old file is unchanged"):
        save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.pth"]
