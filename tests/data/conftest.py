from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.data.synthetic import dataset


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 images of 4 classes; tests must not write into it."""
    return dataset.make_dataset(
        tmp_path_factory.mktemp("images") / "p", images=40, classes=4, size=(160, 120)
    )
