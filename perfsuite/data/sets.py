"""Where pictures come from: a folder of class folders, split into train, val and test."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from perfsuite.errors import DataError

EXTENSIONS = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
PARTS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """Pictures and labels of a folder, in a stable order; the names of the folders are the classes."""

    root: Path
    files: tuple[str, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]

    @classmethod
    def read(cls, root: str | Path) -> ImageFolder:
        root = Path(root)
        if not root.is_dir():
            raise FileNotFoundError(f"{root}: no such folder; 'perfsuite data make {root}' makes one")
        names = tuple(sorted(entry.name for entry in os.scandir(root) if _is_class(entry)))
        files, labels = [], []
        for label, name in enumerate(names):
            found = sorted(entry.name for entry in os.scandir(root / name) if _is_picture(entry.name))
            files += [f"{name}/{file}" for file in found]
            labels += [label] * len(found)
        if not files:
            raise DataError(f"{root}: no pictures found, expected {root}/<class>/<picture>.jpg")
        return cls(root, tuple(files), tuple(labels), names)

    def __len__(self) -> int:
        return len(self.files)

    def take(self, rows: list[int]) -> ImageFolder:
        files = tuple(self.files[row] for row in rows)
        return ImageFolder(self.root, files, tuple(self.labels[row] for row in rows), self.class_names)

    def read_bytes(self, row: int) -> bytes:
        return (self.root / self.files[row]).read_bytes()


def _is_class(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith(".")  # noqa: PTH122 - per file


def split(whole: ImageFolder, val: float, test: float) -> dict[str, ImageFolder]:
    """Split class by class in the order of a hash of the names: the same on any machine."""
    if not (0 <= val < 1 and 0 <= test < 1 and val + test < 1):
        raise ValueError(f"split: val {val} and test {test}, expected shares from 0 that leave some to train")
    rows: dict[str, list[int]] = {part: [] for part in PARTS}
    for label in range(len(whole.class_names)):
        members = [row for row, found in enumerate(whole.labels) if found == label]
        members.sort(key=lambda row: hashlib.sha256(whole.files[row].encode()).digest())
        first, second = round(len(members) * val), round(len(members) * (val + test))
        rows["val"] += members[:first]
        rows["test"] += members[first:second]
        rows["train"] += members[second:]
    return {part: whole.take(sorted(found)) for part, found in rows.items()}
