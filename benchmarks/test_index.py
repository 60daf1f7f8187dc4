"""A million files: how long until the first can be read, and in how much memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.data.sets import image_folder, split

FOLDERS, FILES = 100, 10_000


@pytest.fixture(scope="module")
def a_million_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty ones: finding them is what is timed."""
    root = tmp_path_factory.mktemp("million")
    for label in range(FOLDERS):
        folder = root / f"class_{label:03d}"
        folder.mkdir()
        for number in range(FILES):
            (folder / f"picture_{number:06d}.jpg").touch()
    return root


@pytest.mark.slow
@pytest.mark.ceiling(seconds_per_call="10 s", peak_memory_growth="200 MiB")
def test_a_million_files_are_indexed_and_split(perf, a_million_files):
    assert len(image_folder(a_million_files)) == FOLDERS * FILES
    perf(lambda: split(image_folder(a_million_files), 0.1, 0.1))
