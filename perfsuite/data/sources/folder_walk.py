"""List the files below a folder, as torchvision's ImageFolder does: nested, sorted, links followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from perfsuite.errors import DataError


def walk_files(root: str | Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield each visible entry that is not a folder, with its path from `root`.

    A folder's files come first, sorted, then its folders. Hidden files and folders are left out. A link to a
    folder that contains the link is an error, because it has no end.
    """
    yield from _walk(Path(root), "", ())


def _walk(
    folder: Path, prefix: str, parents: tuple[tuple[int, int], ...]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            visible = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda e: e.name)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}, expected a readable folder") from error
    identity = status.st_dev, status.st_ino
    if identity in parents:
        raise DataError(f"{folder}: a link to a folder that contains it, expected an end; remove the link")
    folders = {entry.name for entry in visible if _is_folder(entry)}
    for entry in visible:
        if entry.name not in folders:
            yield prefix + entry.name, entry
    for entry in visible:
        if entry.name in folders:
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", (*parents, identity))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: reading it is the fault of that file
        return False
