"""Where images come from: a source gives bytes, a label and a name for each row; nothing is decoded."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.image_file import EXTENSIONS, read_file
from perfsuite.data.sources.file_index import PackedStrings, Rows, split_rows
from perfsuite.errors import DataError
from perfsuite.paths import stays_inside

SPLITS = ("train", "val", "test")


class ImageSource(Protocol):
    """Rows of encoded images; picklable, and read by many threads at once."""

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def labels(self) -> NDArray[np.int32]: ...

    def __len__(self) -> int: ...

    def read(self, row: int) -> bytes: ...

    def name(self, row: int) -> str: ...


@dataclass(frozen=True, slots=True, eq=False)
class FileSource:
    """Images in files under a root: what class folders and tables of labels both come down to."""

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

    def path(self, row: int) -> Path:
        return Path(self.root, self.names[row])

    @property
    def nbytes(self) -> int:
        return self.names.nbytes + self.labels.nbytes


def image_folder(root: str | Path, class_names: Sequence[str] | None = None) -> FileSource:
    """A folder of class folders, as torchvision's ImageFolder reads it: classes and files in sorted order."""
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; 'perfsuite data make {root}' makes one")
    found = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != ".")
    classes = tuple(found if class_names is None else class_names)
    if unknown := sorted(set(found) - set(classes)):
        raise DataError(
            f"{root}: class {unknown[0]!r} is not among those of train ({', '.join(classes[:9])})"
        )
    parts, counts = [], []
    for name in classes:
        files = _list_images(root / name, f"{name}/") if name in found else []
        parts.append(PackedStrings.of(files))
        counts.append(len(files))
    labels = np.repeat(np.arange(len(classes), dtype=np.int32), counts)
    if len(labels) == 0:
        raise DataError(f"{root}: no images found, expected {root}/<class>/<image>.jpg")
    return FileSource(str(root), PackedStrings.concatenate(parts), labels, classes)


def _list_images(folder: Path, prefix: str) -> list[str]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    found = [prefix + name for name in names if name.lower().endswith(EXTENSIONS) and name[0] != "."]
    found.sort()
    return found


def labeled_csv(
    table: str | Path, images: str | Path, file_column: str = "file", label_column: str = "label"
) -> FileSource:
    """A CSV of file names and labels beside a folder of images; labels may be words or numbers."""
    root = Path(images).resolve()
    files, labels = [], []
    with Path(table).open(newline="", encoding="utf-8-sig") as source:
        reader = csv.DictReader(source)
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
        raise DataError(f"{table}: no rows, expected one an image")
    classes = tuple(sorted(set(labels), key=_numeric_sort_key))
    number = {name: index for index, name in enumerate(classes)}
    numbers = np.fromiter((number[label] for label in labels), np.int32, len(labels))
    return FileSource(str(root), PackedStrings.of(files), numbers, classes)


def _numeric_sort_key(label: str) -> tuple[int, float, str]:
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """Some rows of a source, in order; a source itself."""

    source: ImageSource
    rows: Rows
    # Taken once: a worker asks for the label of one row at a time.
    labels: NDArray[np.int32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", self.source.labels[self.rows])

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.source.class_names

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> bytes:
        return self.source.read(int(self.rows[row]))

    def name(self, row: int) -> str:
        return self.source.name(int(self.rows[row]))


def read_splits(data_dir: str | Path, val: float, test: float) -> dict[str, ImageSource]:
    """train, val and test: the folders of these names where they are, else a split by a hash of the names."""
    root = Path(data_dir)
    if all((root / part).is_dir() for part in ("train", "val")):
        train = image_folder(root / "train")
        held = root / "test" if (root / "test").is_dir() else None
        tested = image_folder(held, train.class_names) if held else Subset(train, np.empty(0, np.int64))
        return {"train": train, "val": image_folder(root / "val", train.class_names), "test": tested}
    return split_source(image_folder(root), val, test)


def split_source(whole: FileSource, val: float, test: float) -> dict[str, ImageSource]:
    """Each class in the same shares, by a hash of the names: the same on any machine, in any order."""
    rows = split_rows(whole.labels, whole.names.hashes(), val, test)
    return {part: Subset(whole, rows[part]) for part in SPLITS}


def class_weights(source: ImageSource) -> NDArray[np.float64]:
    """Weights that make every class count alike in a loss: mean 1 over the samples, 0 for an absent class."""
    counts = np.bincount(source.labels, minlength=len(source.class_names))
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights
