"""The random number generators that a training run draws from: their seeds and states."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perfsuite.errors import DataError


def seed_everything(seed: int, epoch: int = 0) -> None:
    """Seed Python, NumPy and torch from (seed, epoch): no epoch depends on draws of the ones before."""
    random.seed(f"{seed}/{epoch}")
    derived = random.getrandbits(32)
    np.random.seed(derived)  # third-party augmentations draw from this global state
    torch.manual_seed(derived)


def get_rng_state() -> dict[str, Any]:
    """Return all states as tensors, numbers and lists, which a checkpoint may contain.

    >>> states = get_rng_state(); first = torch.rand(1); set_rng_state(states); bool(torch.rand(1) == first)
    True
    """
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    return {
        "python": [version, list(internal), gauss_next],
        "numpy": [str(kind), [int(key) for key in keys], int(position), int(has_gauss), float(gauss)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def check_rng_state(states: Mapping[str, Any], path: str | Path) -> None:
    """Raise DataError unless `set_rng_state` can restore the states; the generators stay unchanged."""
    for name in ("python", "numpy", "torch", "cuda"):
        try:
            _apply_to_new_generator(name, states[name])
        except Exception as error:  # a wrong state makes generators raise nearly anything
            raise DataError(
                f"{path}: training.rng_state.{name} cannot be restored ({type(error).__name__}: {error}), "
                "expected what get_rng_state returns; train again or restore the file"
            ) from error


def _apply_to_new_generator(name: str, state: Any) -> None:
    if name == "python":
        version, internal, gauss_next = state
        random.Random().setstate((version, tuple(internal), gauss_next))
    elif name == "numpy":
        kind, keys, *rest = state
        np.random.RandomState().set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    elif name == "torch":
        torch.Generator().set_state(state.cpu())
    elif not all(isinstance(one, torch.Tensor) and one.dtype == torch.uint8 for one in state):
        raise TypeError("not a list of tensors of bytes")


def set_rng_state(states: dict[str, Any]) -> None:
    """Restore what `get_rng_state` returned."""
    version, internal, gauss_next = states["python"]
    random.setstate((version, tuple(internal), gauss_next))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
