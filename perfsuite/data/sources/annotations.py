"""Annotations of images: the boxes, polygons and keypoints of their objects.

The numbers of all objects are stored in a few arrays: forked workers then share their memory, which Python
objects would copy by counting references. The objects of one image are built on access.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.data.sources.files import FileSource
from perfsuite.errors import DataError
from perfsuite.paths import stays_inside
from perfsuite.transforms.labels.keypoints import FlipOrder

Point = tuple[float, float]
Polygon = tuple[Point, ...]
Box = tuple[float, float, float, float]

MAX_SIDE = 2**31 - 1  # sizes are stored as int32
MAX_LABEL = 999_999  # class names may be made from labels, one for each number up to the largest
MAX_COORDINATE = float(2**24)  # coordinates are stored as float32, which holds whole numbers up to here


@dataclass(frozen=True, slots=True)
class ObjectAnnotation:
    """One object of an image, in pixels from the top left corner."""

    label: int
    box: Box  # left, top, right, bottom
    polygons: tuple[Polygon, ...] = ()
    keypoints: tuple[Point, ...] = ()
    visible: tuple[bool, ...] = ()  # of each keypoint


@dataclass(frozen=True, slots=True)
class ImageAnnotation:
    """An image's file, size and objects."""

    file: str
    width: int
    height: int
    objects: tuple[ObjectAnnotation, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """The objects of many images, and how many polygons, objects and masks were skipped when reading them.

    The `*_ends` arrays delimit: an image's objects end at its entry of `object_ends`, an object's polygons at
    `polygon_ends`, a polygon's points at `point_ends`, an object's keypoints at `keypoint_ends`.
    """

    names: PackedStrings
    class_names: tuple[str, ...]
    sizes: NDArray[np.int32]  # images x (width, height)
    object_ends: NDArray[np.int64]
    labels: NDArray[np.int32]
    boxes: NDArray[np.float32]  # objects x 4
    polygon_ends: NDArray[np.int64]
    point_ends: NDArray[np.int64]
    points: NDArray[np.float32]  # x 2
    keypoint_ends: NDArray[np.int64]
    keypoints: NDArray[np.float32]  # x (x, y, visible)
    skipped_polygons: int = 0
    skipped_objects: int = 0
    skipped_masks: int = 0  # of objects that are kept, with a mask that is not made of polygons
    # By class: which keypoint takes the place of each when the image is mirrored; None if unknown.
    flip_orders: tuple[FlipOrder | None, ...] = ()

    @classmethod
    def from_images(
        cls,
        images: Iterable[ImageAnnotation],
        class_names: Sequence[str] = (),
        skipped_polygons: int = 0,
        skipped_objects: int = 0,
        skipped_masks: int = 0,
    ) -> Annotations:
        """Pack the objects of `images`. Without `class_names` the classes are named by their numbers.

        A DataError names the image with a number that cannot be stored, or a file outside of the folder.
        """
        names, sizes = [], array("i")
        ends = {kind: array("q") for kind in ("object", "polygon", "point", "keypoint")}
        labels, boxes, points, keypoints = array("i"), array("f"), array("f"), array("f")
        for image in images:
            _check_image(image)
            names.append(image.file)
            sizes.extend((image.width, image.height))
            for thing in image.objects:
                labels.append(thing.label)
                boxes.extend(thing.box)
                for polygon in thing.polygons:
                    points.extend(coordinate for point in polygon for coordinate in point)
                    ends["point"].append(len(points) // 2)
                ends["polygon"].append(len(ends["point"]))
                visible = thing.visible or (True,) * len(thing.keypoints)
                for (x, y), is_visible in zip(thing.keypoints, visible, strict=True):
                    keypoints.extend((x, y, is_visible))
                ends["keypoint"].append(len(keypoints) // 3)
            ends["object"].append(len(labels))
        packed = cls(
            names=PackedStrings.from_strings(names),
            class_names=tuple(class_names) or tuple(map(str, range(max(labels, default=-1) + 1))),
            sizes=_as_rows(sizes, 2, np.int32),
            object_ends=np.array(ends["object"], np.int64),
            labels=np.array(labels, np.int32),
            boxes=_as_rows(boxes, 4, np.float32),
            polygon_ends=np.array(ends["polygon"], np.int64),
            point_ends=np.array(ends["point"], np.int64),
            points=_as_rows(points, 2, np.float32),
            keypoint_ends=np.array(ends["keypoint"], np.int64),
            keypoints=_as_rows(keypoints, 3, np.float32),
            skipped_polygons=skipped_polygons,
            skipped_objects=skipped_objects,
            skipped_masks=skipped_masks,
        )
        packed._check_coordinates()
        return packed

    def with_flip_orders(self, orders: Sequence[FlipOrder | None]) -> Annotations:
        """The same annotations with a flip order of keypoints for each class."""
        return replace(self, flip_orders=tuple(orders))

    @property
    def max_keypoints(self) -> int:
        """The number of keypoints of the object that has the most."""
        return int(np.diff(self.keypoint_ends, prepend=0).max(initial=0))

    def _check_coordinates(self) -> None:
        """Raise a DataError for the first object with a coordinate that is not finite or too large."""
        polygons = _owners(self.point_ends, np.arange(len(self.points)))
        for name, values, objects in [
            ("box", self.boxes, np.arange(len(self.boxes))),
            ("polygon", self.points, _owners(self.polygon_ends, polygons)),
            ("keypoint", self.keypoints, _owners(self.keypoint_ends, np.arange(len(self.keypoints)))),
        ]:
            wrong = ~(np.abs(values) <= MAX_COORDINATE)  # also true for NaN
            if wrong.any():
                index = objects[int(np.argmax(wrong.any(axis=1)))]
                file = self.names[int(_owners(self.object_ends, index))]
                raise DataError(
                    f"{file}: a {name} with the coordinate {values[wrong][0]}, "
                    f"expected numbers within {MAX_COORDINATE:,.0f} pixels"
                )

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[ImageAnnotation]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> ImageAnnotation:
        name = self.names[row]
        width, height = self.sizes[row].tolist()
        objects = tuple(self._object(index) for index in _span(self.object_ends, row))
        return ImageAnnotation(name, width, height, objects)

    def _object(self, index: int) -> ObjectAnnotation:
        spans = (_span(self.point_ends, polygon) for polygon in _span(self.polygon_ends, index))
        keypoint_span = _span(self.keypoint_ends, index)
        keypoints = self.keypoints[keypoint_span.start : keypoint_span.stop].tolist()
        left, top, right, bottom = self.boxes[index].tolist()
        return ObjectAnnotation(
            label=int(self.labels[index]),
            box=(left, top, right, bottom),
            polygons=tuple(tuple(map(tuple, self.points[span.start : span.stop].tolist())) for span in spans),
            keypoints=tuple((x, y) for x, y, _ in keypoints),
            visible=tuple(bool(visible) for *_, visible in keypoints),
        )

    def row_by_file(self) -> dict[str, int]:
        """The row of each file."""
        return {self.names[row]: row for row in range(len(self))}

    def as_source(self, root: str | Path) -> FileSource:
        """A source of these images under `root`; every label is 0."""
        return FileSource(
            str(Path(root).resolve()), self.names, np.zeros(len(self), np.int32), self.class_names
        )


def _check_image(image: ImageAnnotation) -> None:
    if not image.file or not stays_inside(image.file) or "\0" in image.file:
        raise DataError(f"the file {image.file!r}, expected a path inside of the folder of images")
    for name, value, low, high in [
        ("width", image.width, 1, MAX_SIDE),
        ("height", image.height, 1, MAX_SIDE),
        *(("label", thing.label, 0, MAX_LABEL) for thing in image.objects),
    ]:
        if not isinstance(value, int | np.integer) or not low <= value <= high:
            raise DataError(f"{image.file}: {name} {value!r}, expected a whole number from {low} to {high:,}")


def _as_rows(values: array[Any], columns: int, kind: type[np.generic]) -> NDArray[Any]:
    return np.array(values, kind).reshape(-1, columns)


def _owners(ends: NDArray[np.int64], indices: Any) -> NDArray[np.int64]:
    """Which span of `ends` each index lies in."""
    return np.asarray(np.searchsorted(ends, indices, side="right"))


def _span(ends: NDArray[np.int64], index: int) -> range:
    return range(int(ends[index - 1]) if index else 0, int(ends[index]))
