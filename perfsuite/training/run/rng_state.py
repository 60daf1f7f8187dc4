"""Every random state that a training run draws from: kept, restored, and seeded anew for each epoch."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int, epoch: int = 0) -> None:
    """Seed Python, NumPy and torch from (seed, epoch), so that an epoch can be begun again by itself."""
    random.seed(f"{seed}/{epoch}")
    drawn = random.getrandbits(32)
    np.random.seed(drawn)  # foreign augmentations draw from this global state
    torch.manual_seed(drawn)


def set_loader_epoch(loader: Any, seed: int, epoch: int) -> None:
    """Tell a loader which epoch begins: by its `set_epoch`, its sampler's, or its generator."""
    told: Any
    for told in (loader, getattr(loader, "sampler", None)):
        if hasattr(told, "set_epoch"):
            told.set_epoch(epoch)
            return
    generator = getattr(loader, "generator", None)
    if isinstance(generator, torch.Generator):
        generator.manual_seed(random.Random(f"{seed}/{epoch}/loader").getrandbits(63))


def get_rng_state() -> dict[str, Any]:
    """All states as tensors, numbers and lists: what a checkpoint may hold.

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


def set_rng_state(states: dict[str, Any]) -> None:
    version, internal, gauss_next = states["python"]
    random.setstate((version, tuple(internal), gauss_next))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
