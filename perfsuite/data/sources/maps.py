"""Label maps of images: stored ones are read, others are drawn from polygons.

A drawn map is the object that covers each pixel: 0 for none, 1 for the first object, and so on. Reading a
stored map is faster than drawing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.image_file import check_pixels
from perfsuite.data.sources.annotations import Annotations, ImageAnnotation
from perfsuite.data.sources.base import ProgressCallback
from perfsuite.data.sources.map_files import (
    MAP_SUFFIXES,
    MapArray,
    StoredMaps,
    convert_map,
    kept_dtype,
    map_path,
    map_stem,
    read_map,
    read_map_dtype,
    scan_map_folder,
    write_map,
)
from perfsuite.errors import DataError
from perfsuite.transforms.labels.rasterize import draw_polygon

_UINT8_OBJECTS = 255


class MapOrigin(IntEnum):
    """Where the map of an image in a batch came from."""

    NONE = 0
    STORED = 1
    DRAWN = 2
    MEMORY = 3


class LabelMap(NamedTuple):
    """The map of an image, and where it came from."""

    values: MapArray
    origin: MapOrigin


@dataclass(slots=True)
class MapCounts:
    """How many maps of the images in a loader's batches were stored, drawn or in memory already."""

    stored: int = 0
    drawn: int = 0
    in_memory: int = 0

    def add(self, origins: NDArray[np.uint8]) -> None:
        """Count the images of a batch by their `MapOrigin`."""
        _, stored, drawn, in_memory = np.bincount(origins, minlength=len(MapOrigin)).tolist()
        self.stored, self.drawn, self.in_memory = (
            self.stored + stored,
            self.drawn + drawn,
            self.in_memory + in_memory,
        )

    def __str__(self) -> str:
        """The counts and the stored share.

        >>> print(MapCounts(stored=30, drawn=10))
        40 maps: 30 stored (75 %), 10 drawn, 0 in memory
        """
        total = self.stored + self.drawn + self.in_memory
        share = f" ({self.stored / total:.0%})".replace("%", " %") if total else ""
        return f"{total} maps: {self.stored} stored{share}, {self.drawn} drawn, {self.in_memory} in memory"


@dataclass(eq=False)
class MapSource:
    """The maps of a loader: stored in `folder`, drawn from `annotations`, or both.

    With both, only maps that are not stored are drawn. A stored map has its image's path and name, and is a
    .npy or .npz. With `in_memory` each map is read or drawn once.

    A batch has one `dtype`: by default that of the first stored map, and large enough for the numbers of
    drawn objects. A map with a value that this type does not hold is an error.
    """

    folder: str | Path | None = None
    annotations: Annotations | None = None
    in_memory: bool = False
    dtype: Any = None
    stored_count: int = field(default=0, init=False)  # maps in the folder; with annotations, of their images
    _in_memory_maps: dict[str, MapArray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.folder is None and self.annotations is None:
            raise ValueError("maps: neither a folder nor annotations, expected one of them")
        stored = StoredMaps(frozenset(), None) if self.folder is None else scan_map_folder(self.folder)
        self.stored_count = self._count_usable(stored)
        self.dtype = self._default_dtype(stored) if self.dtype is None else kept_dtype(np.dtype(self.dtype))

    @property
    def drawn_count(self) -> int:
        """How many maps of annotated images are not stored."""
        return 0 if self.annotations is None else len(self.annotations) - self.stored_count

    def get_map(self, name: str, width: int, height: int) -> LabelMap:
        """Return the map of an image, whose size it must have."""
        if (known := self._in_memory_maps.get(name)) is not None:
            return LabelMap(known, MapOrigin.MEMORY)
        stored = self._read_stored(name)
        values = self._draw(name, width, height) if stored is None else stored
        if values.shape != (height, width):
            raise DataError(f"its map has shape {values.shape}, expected {(height, width)}")
        values = convert_map(values, self.dtype)
        if self.in_memory:
            self._in_memory_maps[name] = values
        return LabelMap(values, MapOrigin.DRAWN if stored is None else MapOrigin.STORED)

    def _count_usable(self, stored: StoredMaps) -> int:
        if self.annotations is None:
            return len(stored.stems)
        refuse_shared_maps(name for name in self._row_by_file if map_stem(name) in stored.stems)
        usable = sum(map_stem(name) in stored.stems for name in self._row_by_file)
        if stored.stems and not usable:
            raise DataError(
                f"{self.folder}: none of its {len(stored.stems)} maps has the name of an annotated image, "
                f"expected maps such as {map_path('', next(iter(self._row_by_file), 'a.jpg'), '.npy')}"
            )
        return usable

    def _default_dtype(self, stored: StoredMaps) -> np.dtype[Any]:
        dtypes = [] if stored.first is None else [read_map_dtype(stored.first)]
        if self.annotations is not None:
            dtypes.append(drawn_dtype(self.annotations))
        return np.result_type(*dtypes) if dtypes else np.dtype(np.uint8)

    def _read_stored(self, name: str) -> MapArray | None:
        if self.folder is None:
            return None
        for suffix in MAP_SUFFIXES:
            try:
                return read_map(map_path(self.folder, name, suffix))
            except FileNotFoundError:
                continue
        if self.annotations is None:
            path = map_path(self.folder, name, "")
            raise DataError(f"its map {path}.npy or .npz does not exist; store_maps draws maps")
        return None

    def _draw(self, name: str, width: int, height: int) -> MapArray:
        row = self._row_by_file.get(name)
        if row is None or self.annotations is None:
            raise DataError("its map cannot be drawn: the file has no annotation")
        annotation = self.annotations[row]
        if (annotation.width, annotation.height) != (width, height):
            raise DataError(
                f"its annotation is for {annotation.width}x{annotation.height} pixels, "
                f"expected the image's {width}x{height}"
            )
        return draw_map(annotation, self.dtype)

    @cached_property
    def _row_by_file(self) -> dict[str, int]:
        return {} if self.annotations is None else self.annotations.row_by_file()


def drawn_dtype(images: Annotations | Sequence[ImageAnnotation]) -> np.dtype[Any]:
    """The type of the maps of these images: uint8, or int32 where an image has more than 255 objects."""
    if isinstance(images, Annotations):
        most = int(np.diff(images.object_ends, prepend=0).max(initial=0))
    else:
        most = max((len(image.objects) for image in images), default=0)
    return np.dtype(np.uint8 if most <= _UINT8_OBJECTS else np.int32)


def draw_map(image: ImageAnnotation, dtype: Any = None) -> MapArray:
    """Draw an image's map from its polygons; an object covers those before it.

    A pixel is covered if its center lies inside by the even-odd rule, which perfsuite.transforms.labels
    .rasterize describes. Several polygons of an object are drawn one after the other.
    """
    check_pixels(image.width, image.height)
    number_type = np.dtype(dtype) if dtype is not None else drawn_dtype([image])
    canvas = np.zeros((image.height, image.width), drawn_dtype([image]))
    for number, thing in enumerate(image.objects, start=1):
        for polygon in thing.polygons:
            draw_polygon(canvas, np.array(polygon), number)
    return convert_map(canvas, number_type)


def refuse_shared_maps(files: Iterable[str]) -> None:
    """Raise a DataError for two images whose maps would be one file, such as a.jpg and a.png."""
    file_of_stem: dict[str, str] = {}
    for file in files:
        other = file_of_stem.setdefault(map_stem(file), file)
        if other != file:
            raise DataError(
                f"maps: {other} and {file} would share a map, expected different names; rename one"
            )


def store_maps(
    images: Annotations | Sequence[ImageAnnotation],
    folder: str | Path,
    suffix: str = ".npy",
    progress: ProgressCallback | None = None,
) -> int:
    """Draw and store every map that does not exist yet, in one type; return how many were drawn."""
    if suffix not in MAP_SUFFIXES:
        raise ValueError(f"maps: suffix {suffix!r}, expected one of {', '.join(MAP_SUFFIXES)}")
    drawn, dtype = 0, drawn_dtype(images)
    refuse_shared_maps(
        images.row_by_file() if isinstance(images, Annotations) else [image.file for image in images]
    )
    for number, image in enumerate(images, start=1):
        if not any(map_path(folder, image.file, kind).exists() for kind in MAP_SUFFIXES):
            write_map(map_path(folder, image.file, suffix), draw_map(image, dtype))
            drawn += 1
        if progress is not None:
            progress(number, len(images))
    return drawn
