"""The pictures that benchmarks run on: made once, kept in the user's cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.data import photos as made_photos


@pytest.fixture(scope="session")
def photos() -> Path:
    return made_photos.cached(images=512, classes=10)


@pytest.fixture(scope="session")
def few_photos() -> Path:
    return made_photos.cached(images=160, classes=10)
