"""Annotations of images: the boxes, polygons and keypoints of their objects.

The numbers of all objects are stored in a few arrays: forked workers then share their memory, which Python
objects would copy by counting references. The objects of one image are built on access.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.data.sources.files import FileSource

Point = tuple[float, float]
Polygon = tuple[Point, ...]
Box = tuple[float, float, float, float]


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
    """The objects of many images, and how many polygons and objects were skipped when reading them.

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

    @classmethod
    def from_images(
        cls,
        images: Iterable[ImageAnnotation],
        class_names: Sequence[str] = (),
        skipped_polygons: int = 0,
        skipped_objects: int = 0,
    ) -> Annotations:
        """Pack the objects of `images`. Without `class_names` the classes are named by their numbers."""
        names, sizes = [], array("i")
        ends = {kind: array("q") for kind in ("object", "polygon", "point", "keypoint")}
        labels, boxes, points, keypoints = array("i"), array("f"), array("f"), array("f")
        for image in images:
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
        return cls(
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


def _as_rows(values: array[Any], columns: int, kind: type[np.generic]) -> NDArray[Any]:
    return np.array(values, kind).reshape(-1, columns)


def _span(ends: NDArray[np.int64], index: int) -> range:
    return range(int(ends[index - 1]) if index else 0, int(ends[index]))
