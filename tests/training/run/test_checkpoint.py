from __future__ import annotations

import math
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from perfsuite.errors import DataError
from perfsuite.training.models import make_model
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec

SPEC = ModelSpec("small", ("cat", "dog"), image_size=32)


CONTENT: dict[str, Any] = {
    "perfsuite": 2,
    "model_spec": {
        "model": "small",
        "class_names": ["a", "b"],
        "image_size": 8,
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
    },
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
        ({"perfsuite": 2, "model_spec": {}}, "incomplete checkpoint, weights is missing"),
    ],
)
def test_other_torch_files_are_refused(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(DataError, match=message):
        Checkpoint.load(tmp_path / "m.pth")


def spec_with(**fields: Any) -> dict[str, Any]:
    return {**CONTENT, "model_spec": {**CONTENT["model_spec"], **fields}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (spec_with(model="vgg"), "holds a 'vgg', expected one of small"),
        (spec_with(model=3), "model_spec.model is 3, expected a valid string"),
        (spec_with(class_names="ab"), "model_spec.class_names is 'ab', expected a valid tuple"),
        (spec_with(class_names=["a"]), "model_spec.class_names is \\['a'\\]"),
        (spec_with(class_names=["a", 1]), "model_spec.class_names.1 is 1, expected a valid string"),
        (spec_with(image_size=-1), "model_spec.image_size is -1, expected greater than or equal to 1"),
        (spec_with(image_size=1 << 40), "model_spec.image_size is 1099511627776, expected less than"),
        (spec_with(image_size=True), "model_spec.image_size is True, expected a valid integer"),
        (spec_with(image_size=8.0), "model_spec.image_size is 8.0, expected a valid integer"),
        (spec_with(mean=[math.nan, 0, 0]), "model_spec.mean.0 is nan, expected a finite number"),
        (spec_with(mean=["0", 0, 0]), "model_spec.mean.0 is '0', expected a valid number"),
        (spec_with(mean=None), "model_spec.mean is None, expected a valid tuple"),
        (spec_with(mean=[0, 0]), "model_spec: .*2 means and 3 deviations"),
        (spec_with(mean=[0, 0], std=[1, 1]), "model_spec.mean has 2 numbers, expected 3"),
        (spec_with(std=[1, 1, 0]), "model_spec: .*std 0"),
        (CONTENT | {"model_spec": 0}, "model_spec is 0, expected"),
        (CONTENT | {"model_spec": {"model": "small"}}, "model_spec.class_names is missing, expected it"),
        (CONTENT | {"weights": 0}, "weights is 0, expected a valid dictionary"),
        (CONTENT | {"weights": [1, 2]}, "weights is \\[1, 2\\], expected a valid dictionary"),
        (CONTENT | {"weights": {"a": "text"}}, "weights.a is 'text', expected an instance of Tensor"),
        (CONTENT | {"weights": {1: torch.zeros(1)}}, "weights.1.* is 1, expected a valid string"),
        (CONTENT | {"training": 5}, "training is 5, expected a valid dictionary"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_wrong_fields_are_named_with_what_is_expected(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(DataError, match=rf"m\.pth: {message}"):
        Checkpoint.load(tmp_path / "m.pth")


@pytest.mark.parametrize(
    "damage",
    [
        lambda weight: weight.to_sparse(),
        lambda weight: weight.to(torch.complex64),
        lambda weight: weight.to(torch.int32),
        lambda weight: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # quantized tensors
def test_tensors_of_another_kind_are_refused(damage: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    weights = dict(SPEC.build().state_dict())
    weights["head.bias"] = damage(weights["head.bias"])
    checkpoint = Checkpoint(SPEC, weights)
    with pytest.raises(DataError, match=r"head\.bias is .*expected torch\.float32"):
        checkpoint.load_into(SPEC.build())


def test_every_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    """torch.load verifies no checksum: without ours, a flipped bit of a weight goes unnoticed."""
    path = save(tmp_path / "m.pth")
    expected, whole = Checkpoint.load(path), path.read_bytes()
    rng, found = random.Random(1), 0
    for _ in range(80):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            loaded = Checkpoint.load(path)
        except DataError:
            found += 1
            continue
        assert loaded.spec == expected.spec
        assert all(torch.equal(loaded.weights[name], tensor) for name, tensor in expected.weights.items())
    assert found > 60  # the rest hit the padding between tensors


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path, bomb = save(tmp_path / "m.pth"), tmp_path / "bomb.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    with pytest.raises(DataError, match=r"is compressed, expected as torch\.save stores it"):
        Checkpoint.load(bomb)


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
