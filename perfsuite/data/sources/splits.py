"""Split a source into training, validation and test."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.sources.base import ImageSource, Subset
from perfsuite.data.sources.file_index import Rows
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.errors import DataError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def read_splits(data_dir: str | Path, val: float, test: float) -> dict[Split, ImageSource]:
    """Use the folders train, val and test if they exist; else split by a hash of the file names.

    Without a folder `test` that split is empty.
    """
    root = Path(data_dir)
    if not all((root / split).is_dir() for split in ("train", "val")):
        _check_class_folders(root)
        return split_source(image_folder(root), val, test)
    train = image_folder(root / "train")
    has_test = (root / "test").is_dir()
    return {
        "train": train,
        "val": image_folder(root / "val", train.class_names),
        "test": image_folder(root / "test", train.class_names)
        if has_test
        else Subset(train, np.empty(0, np.int64)),
    }


def _check_class_folders(root: Path) -> None:
    """Raise a DataError for a folder of splits that lacks one: `train` would be taken for a class."""
    folders = {entry.name for entry in root.iterdir() if entry.is_dir()} if root.is_dir() else set()
    if folders and folders <= {*SPLITS}:
        raise DataError(
            f"{root}: only {' and '.join(sorted(folders))}, expected train and val (and test, if any), or a "
            "folder for each class; add the missing folder, or pass a folder of classes"
        )


def split_source(source: FileSource, val: float, test: float) -> dict[Split, ImageSource]:
    """Split each class by the same fractions, by a hash of the names: the same on every machine."""
    rows = split_rows(source.labels, source.names.hashes(), val, test)
    return {split: Subset(source, rows[split]) for split in SPLITS}


def split_rows(
    labels: NDArray[np.int32], hashes: NDArray[np.uint64], val: float, test: float
) -> dict[Split, Rows]:
    """Choose train, val and test rows, class by class in the order of `hashes`; each split is sorted.

    >>> rows = split_rows(np.zeros(10, np.int32), np.arange(10, dtype=np.uint64), val=0.2, test=0.1)
    >>> {split: chosen.tolist() for split, chosen in rows.items()}
    {'train': [3, 4, 5, 6, 7, 8, 9], 'val': [0, 1], 'test': [2]}
    """
    if not (0 <= val <= 1 and 0 <= test <= 1 and val + test <= 1):
        raise ValueError(
            f"split: val {val} and test {test}, expected fractions of 0 to 1 that add up to at most 1"
        )
    order = np.lexsort((hashes, labels))
    sorted_labels = labels[order]
    starts = np.searchsorted(sorted_labels, np.arange(labels.max(initial=-1) + 1))
    sizes = np.diff([*starts, len(labels)])
    # A row's position within its class, and the size of that class, for all rows at once.
    position = np.arange(len(labels)) - np.repeat(starts, sizes)
    size = np.repeat(sizes, sizes)
    first, second = np.rint(size * val), np.rint(size * (val + test))
    masks: dict[Split, NDArray[np.bool_]] = {
        "train": position >= second,
        "val": position < first,
        "test": (position >= first) & (position < second),
    }
    return {split: np.sort(order[mask]).astype(np.int64) for split, mask in masks.items()}


def class_weights(source: ImageSource) -> NDArray[np.float64]:
    """Loss weights that count every class alike: mean 1 over the samples, 0 for an absent class."""
    counts = np.bincount(source.labels, minlength=len(source.class_names))
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights
