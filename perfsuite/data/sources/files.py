"""Sources of image files on disk: class folders, and tables of labels beside a folder."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.image_file import EXTENSIONS, read_file
from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.errors import DataError
from perfsuite.paths import stays_inside


@dataclass(frozen=True, slots=True, eq=False)
class FileSource:
    """Image files under a root, with labels."""

    root: str
    names: PackedStrings
    labels: NDArray[np.int32]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, row: int) -> bytes:
        return read_file(os.path.join(self.root, self.names[row]))  # noqa: PTH118 - per row

    def name(self, row: int) -> str:
        return self.names[row]

    def version(self, row: int) -> str:
        return file_version(os.path.join(self.root, self.names[row]))  # noqa: PTH118 - per row

    def path(self, row: int) -> Path:
        return Path(self.root, self.names[row])

    @property
    def nbytes(self) -> int:
        return self.names.nbytes + self.labels.nbytes


def file_version(path: str) -> str:
    """The size and the time of a file; empty if it cannot be read, which reading it reports."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path per file is slow
    except (OSError, ValueError):
        return ""
    return f"{status.st_size},{status.st_mtime_ns};"


def image_folder(root: str | Path, class_names: Sequence[str] | None = None) -> FileSource:
    """Read a folder of class folders as torchvision's ImageFolder does: classes and files are sorted."""
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; 'perfsuite data make {root}' makes one")
    folders = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != ".")
    classes = tuple(folders if class_names is None else class_names)
    if unknown := sorted(set(folders) - set(classes)):
        raise DataError(
            f"{root}: class {unknown[0]!r}, expected one of train's ({', '.join(classes[:9])}); "
            "add it to train or remove it here"
        )
    parts, counts = [], []
    for name in classes:
        files = _list_images(root / name, f"{name}/") if name in folders else []
        parts.append(PackedStrings.from_strings(files))
        counts.append(len(files))
    labels = np.repeat(np.arange(len(classes), dtype=np.int32), counts)
    if len(labels) == 0:
        raise DataError(f"{root}: no images found, expected {root}/<class>/<image>.jpg")
    return FileSource(str(root), PackedStrings.concatenate(parts), labels, classes)


def is_image_name(name: str) -> bool:
    """Whether a file of this name (without its folder) is an image that data sets use.

    >>> is_image_name("cat.JPG"), is_image_name(".cat.jpg"), is_image_name("labels.csv")
    (True, False, False)
    """
    return name.lower().endswith(EXTENSIONS) and name[0] != "."


def _list_images(folder: Path, prefix: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(prefix + entry.name for entry in entries if is_image_name(entry.name))


def labeled_csv(
    table: str | Path, images: str | Path, file_column: str = "file", label_column: str = "label"
) -> FileSource:
    """Read a CSV of file names and labels beside a folder of images; labels may be words or numbers."""
    root = Path(images).resolve()
    files, labels = [], []
    with Path(table).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {file_column, label_column} - set(reader.fieldnames or ())
        if missing:
            raise DataError(f"{table}: no column {sorted(missing)[0]!r}, found {reader.fieldnames}")
        for row in reader:
            name, label = row[file_column], row[label_column]
            if not name or not label:
                raise DataError(f"{table}: line {reader.line_num} lacks a file or a label")
            if not stays_inside(name):
                raise DataError(f"{table}: line {reader.line_num} names {name!r}, outside of {images}")
            files.append(name)
            labels.append(label)
    if not files:
        raise DataError(f"{table}: no rows, expected one per image")
    classes = tuple(sorted(set(labels), key=_numeric_sort_key))
    index_of = {name: index for index, name in enumerate(classes)}
    indices = np.fromiter((index_of[label] for label in labels), np.int32, len(labels))
    return FileSource(str(root), PackedStrings.from_strings(files), indices, classes)


def _numeric_sort_key(label: str) -> tuple[int, float, str]:
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label
