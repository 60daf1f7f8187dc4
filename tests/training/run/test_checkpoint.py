from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from perfsuite.errors import DataError
from perfsuite.training.models import make_model
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec

RECIPE = ModelSpec("small", ("cat", "dog"), image_size=32)


def saved(path: Path) -> Path:
    Checkpoint(RECIPE, RECIPE.build().state_dict()).save(path)
    return path


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    model = RECIPE.build()
    path = tmp_path / "new" / "m.pth"
    Checkpoint(RECIPE, model.state_dict(), {"steps_done": 3}).save(path)
    found = Checkpoint.load(path)
    assert found.spec == RECIPE
    assert found.training == {"steps_done": 3}
    again = found.spec.build()
    found.load_into(again)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))
    assert [file.name for file in path.parent.iterdir()] == ["m.pth"]


def test_a_missing_checkpoint_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such checkpoint; `perfsuite train --model-path"):
        Checkpoint.load(tmp_path / "m.pth")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint_is_named(share: float, tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=r"m\.pth: damaged, or not a checkpoint"):
        Checkpoint.load(path)


def test_flipped_bytes_never_pass_for_anything_but_a_data_error(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pth")
    whole = path.read_bytes()
    chance = random.Random(0)
    for _ in range(60):
        damaged = bytearray(whole)
        # The archive's directory and the pickled structure lie at its two ends.
        place = chance.choice([chance.randrange(3000), len(whole) - 1 - chance.randrange(3000)])
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            found = Checkpoint.load(path)
            found.load_into(found.spec.build())
        except DataError:
            pass


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (ran,)

    torch.save({"perfsuite": 1, "recipe": Evil()}, tmp_path / "m.pth")
    with pytest.raises(DataError, match="that could run code"):
        Checkpoint.load(tmp_path / "m.pth")
    assert not ran.exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (make_model("small", 2).state_dict(), "no perfsuite checkpoint"),
        ([1, 2], "no perfsuite checkpoint"),
        ({"perfsuite": 99}, "format 99, expected 1"),
        ({"perfsuite": 1, "recipe": {}}, "incomplete checkpoint"),
        (
            {
                "perfsuite": 1,
                "recipe": {"model": "vgg", "class_names": ["a"], "image_size": 8, "mean": [0], "std": [1]},
                "weights": {},
                "training": {},
            },
            "holds a 'vgg', expected one of small",
        ),
    ],
)
def test_other_files_of_torch_are_told_apart(content: Any, named: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(DataError, match=named):
        Checkpoint.load(tmp_path / "m.pth")


@pytest.mark.parametrize(("model", "classes"), [("small", 3), ("resnet18", 2)])
def test_weights_of_another_shape_fill_nothing(model: str, classes: int) -> None:
    checkpoint = Checkpoint(RECIPE, RECIPE.build().state_dict())
    other = make_model(model, classes)
    before = [one.clone() for one in other.parameters()]
    with pytest.raises(DataError, match="another architecture or class count"):
        checkpoint.load_into(other)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), before, strict=True))


def test_what_was_there_survives_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "m.pth")
    before = path.read_bytes()

    def full(content: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DataError, match=r"No space left on device.*what was there is kept"):
        saved(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.pth"]
