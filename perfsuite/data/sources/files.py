"""Sources of image files on disk: class folders, and tables of labels beside a folder."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.image_file import EXTENSIONS, read_file
from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.data.sources.folder_walk import walk_files
from perfsuite.data.sources.label_files import read_label_text
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
    """Read a folder of class folders as torchvision's ImageFolder does: nested and sorted.

    Every class folder must have an image. With `class_names`, those of the training images, a class may have
    none, but no other class may exist.
    """
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
    if not any(counts):
        raise DataError(f"{root}: no images found, expected {root}/<class>/<image>.jpg")
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if class_names is None:
        refuse_empty_classes(str(root), empty, len(classes))
    labels = np.repeat(np.arange(len(classes), dtype=np.int32), counts)
    return FileSource(str(root), PackedStrings.concatenate(parts), labels, classes)


def refuse_empty_classes(root: str, empty: Sequence[str], classes: int) -> None:
    """Raise a DataError for class folders without images, which would shift or waste class numbers."""
    if empty:
        raise DataError(
            f"{root}: no image in {len(empty)} of {classes} class folders ({', '.join(empty[:9])}), "
            f"expected {', '.join(EXTENSIONS)} files in each; remove the empty folders"
        )


def is_image_name(name: str) -> bool:
    """Whether a file of this name (without its folder) is an image that data sets use.

    >>> is_image_name("cat.JPG"), is_image_name(".cat.jpg"), is_image_name("labels.csv")
    (True, False, False)
    """
    return name.lower().endswith(EXTENSIONS) and name[0] != "."


def _list_images(folder: Path, prefix: str) -> list[str]:
    """In the order of ImageFolder: sorted by folder, then by name."""
    files = (name for name, entry in walk_files(folder) if is_image_name(entry.name))
    return [prefix + name for name in sorted(files, key=lambda name: name.rpartition("/")[::2])]


def labeled_csv(
    table: str | Path, images: str | Path, file_column: str = "file", label_column: str = "label"
) -> FileSource:
    """Read a CSV of file names and labels beside a folder of images; labels may be words or numbers."""
    rows = _read_label_rows(table, file_column, label_column)
    label_of: dict[str, str] = {}
    for line, name, label in rows:
        if not name or not label:
            raise DataError(
                f"{table}: line {line} lacks a file or a label, expected both; fill it or remove it"
            )
        if not stays_inside(name) or "\0" in name:
            raise DataError(f"{table}: line {line} names {name!r}, expected a path inside of {images}")
        if label_of.setdefault(name, label) != label:
            raise DataError(
                f"{table}: line {line} labels {name!r} as {label!r}, expected {label_of[name]!r} as before; "
                "remove one of the lines"
            )
    if not rows:
        raise DataError(f"{table}: no rows, expected one per image")
    classes = tuple(sorted({label for *_, label in rows}, key=_numeric_sort_key))
    index_of = {name: index for index, name in enumerate(classes)}
    indices = np.fromiter((index_of[label] for *_, label in rows), np.int32, len(rows))
    names = PackedStrings.from_strings(name for _, name, _ in rows)
    return FileSource(str(Path(images).resolve()), names, indices, classes)


def _read_label_rows(table: str | Path, file_column: str, label_column: str) -> list[tuple[int, str, str]]:
    """Line number, file and label of each row; empty where a row is short."""
    reader = csv.DictReader(io.StringIO(read_label_text(table), newline=""), strict=True)
    try:
        columns = list(reader.fieldnames or ())
        for column in (file_column, label_column):
            if (count := columns.count(column)) != 1:
                raise DataError(
                    f"{table}: {f'{count} columns' if count else 'no column'} {column!r} in "
                    f"{', '.join(columns) or 'an empty header'}, expected one; "
                    "name it with file_column and label_column"
                )
        rows = []
        for row in reader:
            if any(row.get(None, ())):
                raise DataError(
                    f"{table}: line {reader.line_num} has more fields than the header, expected as many; "
                    "quote names that contain a comma"
                )
            rows.append((reader.line_num, row[file_column] or "", row[label_column] or ""))
        return rows
    except csv.Error as error:
        raise DataError(
            f"{table}: after line {reader.line_num}: {error}, expected a CSV; save it again"
        ) from error


def _numeric_sort_key(label: str) -> tuple[int, float, str]:
    """Numbers by their value, then words. NaN is a word, because it has no place in an order."""
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    return (0, number, label) if math.isfinite(number) else (1, 0.0, label)
