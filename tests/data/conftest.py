from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.data import photos


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pictures of 4 classes; nobody writes into it."""
    return photos.make(tmp_path_factory.mktemp("photos") / "p", images=40, classes=4, size=(160, 120))
