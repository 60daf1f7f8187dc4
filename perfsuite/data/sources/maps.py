"""Maps beside images: made from polygons (the expensive way), stored as .npy or .npz, and read back.

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

from perfsuite.atomic import open_replacing
from perfsuite.data.sources.annotations import Annotations, ImageAnnotation
from perfsuite.data.synthetic.dataset import ProgressCallback
from perfsuite.errors import DataError

LabelMap = NDArray[np.uint8]
MAP_SUFFIXES = (".npy", ".npz")


@dataclass(eq=False)
class MapSource:
    """Where a loader's maps come from: stored in `folder`, drawn from `annotations`, or both.

    With both, only what is not stored is drawn; `read` and `drawn` count in this process, and not in those of
    workers. A stored map is named as its image, with `suffix`. `in_memory` keeps what was read or drawn.
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
        """The map of an image of this size."""
        found = self._in_memory_maps.get(name)
        if found is None:
            found = self._read_stored(name)
        if found is None:
            found = self._draw(name)
        if found.shape != (height, width):
            raise DataError(f"its map is of {found.shape}, expected {(height, width)}")
        if self.in_memory:
            self._in_memory_maps[name] = found
        return found

    def _read_stored(self, name: str) -> LabelMap | None:
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
            self.read_count += 1
        return found

    def _draw(self, name: str) -> LabelMap:
        row = self._rows.get(name)
        if row is None or self.annotations is None:
            raise DataError("its map cannot be drawn: no annotation is of this file")
        with self._counting:
            self.drawn_count += 1
        return draw_map(self.annotations[row])

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {} if self.annotations is None else self.annotations.rows()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_counting"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _counting=Lock())


def draw_map(image: ImageAnnotation) -> LabelMap:
    """Draw the map from the polygons: what a stored map saves."""
    canvas = Image.new("L", (image.width, image.height))
    drawing = ImageDraw.Draw(canvas)
    for number, outline in enumerate(image.objects, start=1):
        for polygon in outline.polygons:
            drawing.polygon(list(polygon), fill=min(number, 255))
    return np.asarray(canvas)


def write_map(path: str | Path, found: LabelMap) -> None:
    """Store a map, uncompressed (.npy) or compressed (.npz), whole or not at all."""
    path = Path(path)
    with open_replacing(path) as out:
        if path.suffix == ".npz":
            np.savez_compressed(out, map=found)
        else:
            np.save(out, found, allow_pickle=False)


def read_map(path: str | Path) -> LabelMap:
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
    images: Annotations | Sequence[ImageAnnotation],
    folder: str | Path,
    suffix: str = ".npy",
    progress: ProgressCallback | None = None,
) -> int:
    """Draw and store every map that is not there yet; how many were drawn."""
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
