"""The files behind a source of images or a data set of the user, as far as they can be found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

MAX_FILES_READ_FOR_SIZE = 256
# Attributes of torchvision's data sets with paths, or pairs of a path and a label.
PATH_LISTS = ("samples", "imgs", "paths", "files")


def files_of(source: Any) -> list[Path]:
    """The paths of all files; empty where the source has none of its own."""
    inner = getattr(source, "source", None)
    if inner is not None and not hasattr(source, "path"):
        return files_of(inner)
    if hasattr(source, "path") and callable(source.path):
        return [source.path(row) for row in range(len(source))]
    entries = next(
        (value for name in PATH_LISTS if isinstance(value := getattr(source, name, None), list)), []
    )
    firsts = [entry[0] if isinstance(entry, tuple | list) and entry else entry for entry in entries]
    paths = [Path(first) for first in firsts if isinstance(first, str | Path)]
    return paths if paths and paths[0].is_file() else []


def files_outgrow_memory(paths: Sequence[Path], available_bytes: int | None = None) -> bool:
    """Whether the page cache cannot hold all files, judged by the sizes of some, evenly spaced."""
    step = max(1, len(paths) // MAX_FILES_READ_FOR_SIZE)
    sizes = [path.stat().st_size for path in paths[::step]]
    available = psutil.virtual_memory().available if available_bytes is None else available_bytes
    return bool(sizes) and sum(sizes) / len(sizes) * len(paths) > available
