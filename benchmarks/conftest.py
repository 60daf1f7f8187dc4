"""The pictures that benchmarks run on: made once, kept in the user's cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from perfsuite.data import photos as made_photos


@pytest.fixture(scope="session")
def photos() -> Path:
    return made_photos.cached(images=512, classes=10)


@pytest.fixture(scope="session")
def few_photos() -> Path:
    return made_photos.cached(images=96, classes=8)


@pytest.fixture(scope="session")
def photos_batch() -> torch.Tensor:
    """32 pictures of noise at 224 pixels: uint8, NCHW."""
    generator = torch.Generator().manual_seed(42)
    return torch.randint(0, 256, (32, 3, 224, 224), dtype=torch.uint8, generator=generator)
