"""Maps beside pictures: made from polygons (the expensive way), stored as .npy or .npz, and read back.

A map says for each pixel which object covers it: 0 for none, 1 for the first object and on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from perfsuite.data.annotations import Annotated, Annotations
from perfsuite.data.photos import Progress
from perfsuite.data.whole_file import whole_file
from perfsuite.errors import DataError

Map = NDArray[np.uint8]
SUFFIXES = (".npy", ".npz")


@dataclass(eq=False)
class Maps:
    """Where a loader's maps come from: stored in `folder`, drawn from `annotations`, or both.

    With both, only what is not stored is drawn; `read` and `drawn` count in this process, and not in those of
    workers. A stored map is named as its picture, with `suffix`. `in_memory` keeps what was read or drawn.
    """

    folder: str | Path | None = None
    annotations: Annotations | None = None
    suffix: str = ".npy"
    in_memory: bool = False
    read: int = field(default=0, init=False)
    drawn: int = field(default=0, init=False)
    _kept: dict[str, Map] = field(default_factory=dict, init=False, repr=False)
    _counting: Lock = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.folder is None and self.annotations is None:
            raise ValueError("maps: neither a folder nor annotations, expected one of them")
        if self.suffix not in SUFFIXES:
            raise ValueError(f"maps: suffix {self.suffix!r}, expected one of {', '.join(SUFFIXES)}")

    def of(self, name: str, width: int, height: int) -> Map:
        """The map of a picture of this size."""
        found = self._kept.get(name)
        if found is None:
            found = self._stored(name)
        if found is None:
            found = self._drawn(name)
        if found.shape != (height, width):
            raise DataError(f"its map is of {found.shape}, expected {(height, width)}")
        if self.in_memory:
            self._kept[name] = found
        return found

    def _stored(self, name: str) -> Map | None:
        if self.folder is None:
            return None
        path = map_path(self.folder, name, self.suffix)
        try:
            found = read_map(path)
        except FileNotFoundError as error:
            if self.annotations is None:
                raise DataError(f"its map {path} is not there; store_maps draws them") from error
            return None
        with self._counting:
            self.read += 1
        return found

    def _drawn(self, name: str) -> Map:
        row = self._rows.get(name)
        if row is None or self.annotations is None:
            raise DataError("its map cannot be drawn: no annotation is of this file")
        with self._counting:
            self.drawn += 1
        return draw_map(self.annotations[row])

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {} if self.annotations is None else self.annotations.rows()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_counting"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _counting=Lock())


def draw_map(picture: Annotated) -> Map:
    """Draw the map from the polygons: what a stored map saves."""
    canvas = Image.new("L", (picture.width, picture.height))
    drawing = ImageDraw.Draw(canvas)
    for number, outline in enumerate(picture.objects, start=1):
        for polygon in outline.polygons:
            drawing.polygon(list(polygon), fill=min(number, 255))
    return np.asarray(canvas)


def write_map(path: str | Path, found: Map) -> None:
    """Store a map, uncompressed (.npy) or compressed (.npz), whole or not at all."""
    path = Path(path)
    with whole_file(path) as out:
        if path.suffix == ".npz":
            np.savez_compressed(out, map=found)
        else:
            np.save(out, found, allow_pickle=False)


def read_map(path: str | Path) -> Map:
    """A stored map. Nothing in the file is ever run: arrays of objects are refused."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            if path.suffix != ".npz":
                return np.asarray(np.load(file, allow_pickle=False), np.uint8)
            with np.load(file, allow_pickle=False) as archive:
                return np.asarray(archive["map"], np.uint8)
    except FileNotFoundError:
        raise
    except Exception as error:  # zip, header and value errors of a damaged file have no kin in common
        raise DataError(f"{path}: {error}; write the map again") from error


def store_maps(
    pictures: Annotations | Sequence[Annotated],
    folder: str | Path,
    suffix: str = ".npy",
    progress: Progress | None = None,
) -> int:
    """Draw and store every map that is not there yet; how many were drawn."""
    drawn = 0
    for number, picture in enumerate(pictures, start=1):
        path = map_path(folder, picture.file, suffix)
        if not path.exists():
            write_map(path, draw_map(picture))
            drawn += 1
        if progress is not None:
            progress(number, len(pictures))
    return drawn


def map_path(folder: str | Path, file: str, suffix: str) -> Path:
    return (Path(folder) / file).with_suffix(suffix)
