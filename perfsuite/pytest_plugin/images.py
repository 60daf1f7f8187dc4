"""The images that benchmarks run on: your own with --perf-images, otherwise made by perfsuite."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfsuite.errors import UsageError

GENERATED_IMAGES, GENERATED_CLASSES = 512, 10


@pytest.fixture(scope="session")
def image_dir(pytestconfig: pytest.Config) -> Path:
    """A folder with a folder of images for each class: --perf-images, or 512 images made once and cached."""
    folder = own_image_dir(pytestconfig)
    if folder is not None:
        return folder
    try:
        from perfsuite.data.synthetic import dataset

        return dataset.cached_dataset(images=GENERATED_IMAGES, classes=GENERATED_CLASSES)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "perfsuite"):
            raise
        pytest.fail(
            f"image_dir: {'Pillow' if missing == 'PIL' else missing} is not installed, expected it for making"
            " images; pip install 'perfsuite[vision]', or name your own images with --perf-images DIR",
            pytrace=False,
        )


def own_image_dir(config: pytest.Config) -> Path | None:
    """Return the folder that --perf-images names, None without it."""
    option = config.getoption("perf_images")
    if option is None:
        return None
    folder = Path(config.invocation_params.dir, option)
    if not folder.is_dir():
        raise UsageError(
            f"--perf-images: {option} is not a folder, expected one with a folder for each class"
        )
    return folder


def image_dir_key(folder: Path) -> str:
    """Hash the names and sizes of all files.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     empty_key = image_dir_key(Path(folder))
    ...     _ = Path(folder, "a.jpg").write_bytes(b"1")
    ...     empty_key == image_dir_key(Path(folder)), len(empty_key)
    (False, 12)
    """
    digest = hashlib.sha256()
    for name, size in _list_files(str(folder), ""):
        digest.update(f"{name}\0{size}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()[:12]


def _list_files(folder: str, prefix: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if entry.is_dir():
            yield from _list_files(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file():
            yield f"{prefix}{entry.name}", entry.stat().st_size
