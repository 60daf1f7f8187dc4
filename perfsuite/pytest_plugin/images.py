"""The images that benchmarks run on: your own with --perf-images, or those that are made here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfsuite.errors import UsageError


@pytest.fixture(scope="session")
def image_dir(pytestconfig: pytest.Config) -> Path:
    """A folder with a folder of images for each class: --perf-images, or 512 made once and kept."""
    given = own_images(pytestconfig)
    if given is not None:
        return given
    from perfsuite.data.synthetic import dataset as made

    return made.cached_dataset(images=512, classes=10)


def own_images(config: pytest.Config) -> Path | None:
    """The folder that --perf-images names."""
    told = config.getoption("perf_images")
    if told is None:
        return None
    folder = Path(config.invocation_params.dir, told)
    if not folder.is_dir():
        raise UsageError(f"--perf-images: {told} is no folder, expected one with a folder for each class")
    return folder


def image_dir_key(folder: Path) -> str:
    """Of names and sizes: two runs on different images are not comparable.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     before = image_dir_key(Path(place))
    ...     _ = Path(place, "a.jpg").write_bytes(b"1")
    ...     before == image_dir_key(Path(place)), len(before)
    (False, 12)
    """
    told = hashlib.sha256()
    for name, size in _files(str(folder), ""):
        told.update(f"{name}\0{size}\0".encode(errors="surrogateescape"))
    return told.hexdigest()[:12]


def _files(folder: str, before: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir():
            yield from _files(entry.path, f"{before}{entry.name}/")
        elif entry.is_file():
            yield f"{before}{entry.name}", entry.stat().st_size
