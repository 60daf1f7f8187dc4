"""Indexing a million files: time and memory until the first one can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.data.sources.files import image_folder
from perfsuite.data.sources.splits import split_source
from perfsuite.pytest_plugin.fixture import Perf

FOLDERS, FILES = 100, 10_000


@pytest.fixture(scope="module")
def million_files_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty files: only finding them is timed."""
    root = tmp_path_factory.mktemp("million")
    for label in range(FOLDERS):
        folder = root / f"class_{label:03d}"
        folder.mkdir()
        for number in range(FILES):
            (folder / f"image_{number:06d}.jpg").touch()
    return root


@pytest.mark.slow
@pytest.mark.ceiling(seconds_per_call="30 s", peak_memory_growth="200 MiB")
@pytest.mark.aim(seconds_per_call="10 s")
def test_index_and_split_a_million_files(perf: Perf, million_files_dir: Path) -> None:
    assert len(image_folder(million_files_dir)) == FOLDERS * FILES
    perf(lambda: split_source(image_folder(million_files_dir), 0.1, 0.1))
