"""Checkpoint files: written whole or not at all, and read without running code."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from perfsuite.atomic import open_replacing
from perfsuite.errors import DataError
from perfsuite.training.distributed.fsdp import shard_like
from perfsuite.training.models import MODELS, make_model
from perfsuite.training.run.validation import FiniteNumber, validate
from perfsuite.transforms.normalization.channel_stats import IMAGENET, ChannelStatistics

# 2: `model_spec` instead of `recipe`, and the training state by the field names of TrainingState.
CHECKPOINT_FORMAT = 2
MAX_IMAGE_SIZE = 1 << 14  # pixels; a prediction allocates an image of this side
CHANNELS = 3


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What is needed to use weights: the model, its classes, and the images it was trained on."""

    model: str
    class_names: Annotated[tuple[str, ...], Field(min_length=2)]
    image_size: Annotated[int, Field(strict=True, ge=1, le=MAX_IMAGE_SIZE)]
    mean: tuple[FiniteNumber, ...] = IMAGENET.mean
    std: tuple[FiniteNumber, ...] = IMAGENET.std

    def build(self) -> nn.Module:
        """Build the model, with random weights."""
        return make_model(self.model, len(self.class_names))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model's spec and weights, and the state of its training if that can be resumed."""

    spec: ModelSpec
    weights: Mapping[str, Tensor]
    training: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Replace the file at `path` atomically; on an error the old file stays."""
        content = {
            "perfsuite": CHECKPOINT_FORMAT,
            "model_spec": {name: getattr(self.spec, name) for name in ModelSpec.__slots__},
            "weights": dict(self.weights),
            "training": dict(self.training),
        }
        _write_atomically(Path(path), content)

    @staticmethod
    def load(path: str | Path, device: torch.device | str = "cpu") -> Checkpoint:
        """Read the file at `path`, with its tensors on `device`."""
        content = _read_checkpoint(Path(path), device)
        missing = [name for name in ("model_spec", "weights", "training") if name not in content]
        if missing:
            raise DataError(
                f"{path}: incomplete checkpoint, {missing[0]} is missing; train again or restore the file"
            )
        spec: ModelSpec = validate(ModelSpec, content["model_spec"], path, "model_spec")
        if spec.model not in MODELS:
            raise DataError(
                f"{path}: holds a {spec.model!r}, expected one of {', '.join(MODELS)}; "
                "use the perfsuite version that wrote it"
            )
        _check_statistics(spec, path)
        weights = validate(dict[str, Tensor], content["weights"], path, "weights")
        return Checkpoint(spec, weights, validate(dict[str, Any], content["training"], path, "training"))

    def load_into(self, model: nn.Module, path: str | Path = "checkpoint") -> None:
        """Load the weights into `model`; if any tensor does not fit, load none."""
        own = model.state_dict()
        differences = [
            f"{name} is {_format_shape(self.weights.get(name))}, expected {_format_shape(tensor)}"
            for name, tensor in own.items()
            if _format_shape(self.weights.get(name)) != _format_shape(tensor)
        ]
        differences += [f"{name} is not in the model" for name in self.weights if name not in own]
        differences += [
            f"{name} is {tensor.dtype} ({tensor.layout}), expected {own[name].dtype}"
            for name, tensor in self.weights.items()
            if name in own and not _can_be_copied(tensor, own[name])
        ]
        if differences:
            raise DataError(
                f"{path}: {len(differences)} of {len(own)} tensors do not fit {type(model).__name__} "
                f"(the first: {differences[0]}); the checkpoint is of another architecture or class count"
            )
        model.load_state_dict(shard_like(self.weights, own))

    def check_compatible(self, model: str | None, class_names: tuple[str, ...], path: str | Path) -> None:
        """Refuse a checkpoint of another model or other classes than the training to resume."""
        if model is not None and model != self.spec.model:
            raise DataError(f"{path}: holds a {self.spec.model!r}, expected a {model!r}; leave --model out")
        if class_names != self.spec.class_names:
            raise DataError(
                f"{path}: trained on {_format_class_names(self.spec.class_names)}, the data have "
                f"{_format_class_names(class_names)}; train again or give the data it was trained on"
            )


def _write_atomically(path: Path, content: dict[str, Any]) -> None:
    try:
        with open_replacing(path) as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch turns some OSErrors into RuntimeErrors
        raise DataError(f"{path}: cannot be written ({error}); the old file is unchanged") from error


def _read_checkpoint(path: Path, device: torch.device | str) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint; `perfsuite train --model-path {path}` makes one")
    size = f"{path.stat().st_size:,} bytes"
    damage = _check_archive(path)
    if damage is not None:
        raise DataError(
            f"{path}: damaged, or not a checkpoint ({size}; {damage}); train again or restore the file"
        )
    try:
        # weights_only: an untrusted checkpoint must not be able to run code.
        content = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: damaged, or holds more than tensors and numbers ({size}); not read further, since that "
            "could run code; train again or restore the file"
        ) from error
    except Exception as error:  # damaged bytes make the unpickler raise nearly anything
        first_line = (str(error).splitlines() or [""])[0][:200]
        raise DataError(
            f"{path}: damaged, or not a checkpoint ({size}; {first_line}); train again or restore the file"
        ) from error
    if not isinstance(content, dict) or "perfsuite" not in content:
        raise DataError(
            f"{path}: no perfsuite checkpoint (bare weights name neither model nor classes); train again"
        )
    if content["perfsuite"] != CHECKPOINT_FORMAT:
        raise DataError(
            f"{path}: checkpoint format {content['perfsuite']}, expected {CHECKPOINT_FORMAT}; "
            "train again, or use the perfsuite version that wrote it"
        )
    return content


def _check_archive(path: Path) -> str | None:
    """Return what is wrong with the archive, or None; torch itself does not verify checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            compressed = [entry for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
            if compressed:  # a few bytes could unpack to any size
                return f"{compressed[0].filename} is compressed, expected as torch.save stores it"
            damaged = archive.testzip()
    except Exception as error:  # damaged bytes make the reader raise nearly anything
        return str(error) or type(error).__name__
    return None if damaged is None else f"wrong checksum of {damaged}"


def _check_statistics(spec: ModelSpec, path: str | Path) -> None:
    try:
        channels = ChannelStatistics(spec.mean, spec.std).channels
    except ValueError as error:
        raise DataError(f"{path}: model_spec: {error}; train again or restore the file") from error
    if channels != CHANNELS:
        raise DataError(
            f"{path}: model_spec.mean has {channels} numbers, expected {CHANNELS}; "
            "train again or restore the file"
        )


def _can_be_copied(tensor: Tensor, own: Tensor) -> bool:
    """Whether copying keeps the values: dense, and floats to floats or integers to integers."""
    is_dense = tensor.layout == torch.strided and not tensor.is_quantized
    return is_dense and not tensor.is_complex() and tensor.is_floating_point() == own.is_floating_point()


def _format_shape(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else "x".join(str(side) for side in tensor.shape) or "a number"


def _format_class_names(names: tuple[str, ...]) -> str:
    return f"{len(names)} classes ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
