"""Label maps of images: draw them from polygons, store them as .npy or .npz, and read them.

A map is the object that covers each pixel: 0 for none, 1 for the first object, and so on. Reading a stored
map is faster than drawing it.
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

from perfsuite.atomic import open_replacing
from perfsuite.data.sources.annotations import Annotations, ImageAnnotation
from perfsuite.data.sources.base import ProgressCallback
from perfsuite.errors import DataError

LabelMap = NDArray[np.uint8]
MAP_SUFFIXES = (".npy", ".npz")


@dataclass(eq=False)
class MapSource:
    """The maps of a loader: stored in `folder`, drawn from `annotations`, or both.

    With both, only maps that are not stored are drawn. A stored map has its image's name, with `suffix`.
    With `in_memory` each map is read or drawn once. `read_count` and `drawn_count` count this process only,
    not worker processes.
    """

    folder: str | Path | None = None
    annotations: Annotations | None = None
    suffix: str = ".npy"
    in_memory: bool = False
    read_count: int = field(default=0, init=False)
    drawn_count: int = field(default=0, init=False)
    _in_memory_maps: dict[str, LabelMap] = field(default_factory=dict, init=False, repr=False)
    _counting: Lock = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.folder is None and self.annotations is None:
            raise ValueError("maps: neither a folder nor annotations, expected one of them")
        if self.suffix not in MAP_SUFFIXES:
            raise ValueError(f"maps: suffix {self.suffix!r}, expected one of {', '.join(MAP_SUFFIXES)}")

    def get_map(self, name: str, width: int, height: int) -> LabelMap:
        """Return the map of an image, whose size it must have."""
        label_map = self._in_memory_maps.get(name)
        if label_map is None:
            label_map = self._read_stored(name)
        if label_map is None:
            label_map = self._draw(name)
        if label_map.shape != (height, width):
            raise DataError(f"its map has shape {label_map.shape}, expected {(height, width)}")
        if self.in_memory:
            self._in_memory_maps[name] = label_map
        return label_map

    def _read_stored(self, name: str) -> LabelMap | None:
        if self.folder is None:
            return None
        path = map_path(self.folder, name, self.suffix)
        try:
            label_map = read_map(path)
        except FileNotFoundError as error:
            if self.annotations is None:
                raise DataError(f"its map {path} does not exist; store_maps draws maps") from error
            return None
        with self._counting:
            self.read_count += 1
        return label_map

    def _draw(self, name: str) -> LabelMap:
        row = self._row_by_file.get(name)
        if row is None or self.annotations is None:
            raise DataError("its map cannot be drawn: the file has no annotation")
        with self._counting:
            self.drawn_count += 1
        return draw_map(self.annotations[row])

    @cached_property
    def _row_by_file(self) -> dict[str, int]:
        return {} if self.annotations is None else self.annotations.row_by_file()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_counting"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _counting=Lock())


def draw_map(image: ImageAnnotation) -> LabelMap:
    """Draw an image's map from its polygons; the value of the 255th object and of all after it is 255."""
    canvas = Image.new("L", (image.width, image.height))
    drawing = ImageDraw.Draw(canvas)
    for number, thing in enumerate(image.objects, start=1):
        for polygon in thing.polygons:
            drawing.polygon(list(polygon), fill=min(number, 255))
    return np.asarray(canvas)


def write_map(path: str | Path, label_map: LabelMap) -> None:
    """Store a map atomically, uncompressed (.npy) or compressed (.npz)."""
    path = Path(path)
    with open_replacing(path) as file:
        if path.suffix == ".npz":
            np.savez_compressed(file, map=label_map)
        else:
            np.save(file, label_map, allow_pickle=False)


def read_map(path: str | Path) -> LabelMap:
    """Read a stored map. Pickled arrays of objects are refused, so the file cannot run code."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            if path.suffix != ".npz":
                return np.asarray(np.load(file, allow_pickle=False), np.uint8)
            with np.load(file, allow_pickle=False) as archive:
                return np.asarray(archive["map"], np.uint8)
    except FileNotFoundError:
        raise
    except Exception as error:  # the zip, header and value errors of a damaged file share no base class
        raise DataError(f"{path}: {error}; write the map again") from error


def store_maps(
    images: Annotations | Sequence[ImageAnnotation],
    folder: str | Path,
    suffix: str = ".npy",
    progress: ProgressCallback | None = None,
) -> int:
    """Draw and store every map that does not exist yet; return how many were drawn."""
    drawn = 0
    for number, image in enumerate(images, start=1):
        path = map_path(folder, image.file, suffix)
        if not path.exists():
            write_map(path, draw_map(image))
            drawn += 1
        if progress is not None:
            progress(number, len(images))
    return drawn


def map_path(folder: str | Path, file: str, suffix: str) -> Path:
    return (Path(folder) / file).with_suffix(suffix)
