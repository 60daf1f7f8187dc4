"""Checkpoints: what a file holds, written whole or not at all, read without running code."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perfsuite.atomic import open_replacing
from perfsuite.errors import DataError
from perfsuite.training.distributed.fsdp import shard_like
from perfsuite.training.models import MODELS, make_model
from perfsuite.transforms.normalization.channel_stats import IMAGENET

CHECKPOINT_FORMAT = 1


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """All that is needed to use weights: which model, which classes, which images it was shown."""

    model: str
    class_names: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...] = IMAGENET.mean
    std: tuple[float, ...] = IMAGENET.std

    def build(self) -> nn.Module:
        return make_model(self.model, len(self.class_names))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A recipe, its weights, and, where training may go on, the state of the training."""

    spec: ModelSpec
    weights: Mapping[str, Tensor]
    training: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write it, or leave what was there: a reader never meets half a file."""
        recipe = {name: getattr(self.spec, name) for name in ModelSpec.__slots__}
        told = {"perfsuite": CHECKPOINT_FORMAT, "recipe": recipe}
        _write_atomically(Path(path), told | {"weights": dict(self.weights), "training": dict(self.training)})

    @staticmethod
    def load(path: str | Path, device: torch.device | str = "cpu") -> Checkpoint:
        found = _read_checkpoint(Path(path), device)
        try:
            told = found["recipe"]
            recipe = ModelSpec(
                model=told["model"],
                class_names=tuple(told["class_names"]),
                image_size=int(told["image_size"]),
                mean=tuple(told["mean"]),
                std=tuple(told["std"]),
            )
            checkpoint = Checkpoint(recipe, found["weights"], found["training"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: incomplete checkpoint ({error!r}); train again") from error
        if recipe.model not in MODELS:
            raise DataError(f"{path}: holds a {recipe.model!r}, expected one of {', '.join(MODELS)}")
        return checkpoint

    def load_into(self, model: nn.Module, path: str | Path = "checkpoint") -> None:
        """Put the weights into `model`; a model of another shape is named, not half filled."""
        own = model.state_dict()
        differing = [
            f"{name} is {_format_shape(self.weights.get(name))}, expected {_format_shape(tensor)}"
            for name, tensor in own.items()
            if _format_shape(self.weights.get(name)) != _format_shape(tensor)
        ]
        differing += [f"{name} has no place in it" for name in self.weights if name not in own]
        if differing:
            raise DataError(
                f"{path}: {len(differing)} of {len(own)} tensors do not fit {type(model).__name__} "
                f"(the first: {differing[0]}); the checkpoint is of another architecture or class count"
            )
        model.load_state_dict(shard_like(self.weights, own))

    def check_compatible(self, model: str | None, class_names: tuple[str, ...], path: str | Path) -> None:
        """That it is what is now to be trained further."""
        if model is not None and model != self.spec.model:
            raise DataError(f"{path}: holds a {self.spec.model!r}, expected a {model!r}; leave --model out")
        if class_names != self.spec.class_names:
            raise DataError(
                f"{path}: trained on {_format_class_names(self.spec.class_names)}, the data have "
                f"{_format_class_names(class_names)}; train anew or give the data it was trained on"
            )


def _write_atomically(path: Path, content: dict[str, Any]) -> None:
    try:
        with open_replacing(path) as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch turns some of the former into the latter
        raise DataError(f"{path}: cannot be written ({error}); what was there is kept") from error


def _read_checkpoint(path: Path, device: torch.device | str) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint; `perfsuite train --model-path {path}` makes one")
    size = f"{path.stat().st_size:,} bytes"
    try:
        # weights_only: a checkpoint from elsewhere must not be able to run code.
        found = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: damaged, or holds more than tensors and numbers ({size}); not read on, since that "
            "could run code; train again or restore the file"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        first_line = (str(error).splitlines() or [""])[0][:200]
        raise DataError(
            f"{path}: damaged, or not a checkpoint ({size}; {first_line}); train again or restore the file"
        ) from error
    if not isinstance(found, dict) or "perfsuite" not in found:
        raise DataError(
            f"{path}: no perfsuite checkpoint (bare weights say neither model nor classes); train again"
        )
    if found["perfsuite"] != CHECKPOINT_FORMAT:
        raise DataError(
            f"{path}: format {found['perfsuite']}, expected {CHECKPOINT_FORMAT}; "
            "use the version that wrote it"
        )
    return found


def _format_shape(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else "x".join(str(side) for side in tensor.shape) or "a number"


def _format_class_names(names: tuple[str, ...]) -> str:
    return f"{len(names)} classes ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
