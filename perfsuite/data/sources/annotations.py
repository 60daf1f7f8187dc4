"""Objects of images: boxes, polygons and keypoints, read from our own files and from COCO's, kept flat.

Numbers of very many objects lie in a few arrays, as file names do (perfsuite.data.sources.file_index); one
image's
objects are made when it is asked for.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.data.sources.files import FileSource
from perfsuite.errors import DataError
from perfsuite.paths import stays_inside
from perfsuite.transforms.labels.polygons import polygon_area

Point = tuple[float, float]
Polygon = tuple[Point, ...]
Box = tuple[float, float, float, float]
MIN_POLYGON_AREA = 1.0  # square pixels; what is smaller covers no pixel


@dataclass(frozen=True, slots=True)
class ObjectAnnotation:
    """One object of an image, in pixels: its box is left, top, right, bottom."""

    label: int
    box: Box
    polygons: tuple[Polygon, ...] = ()
    keypoints: tuple[Point, ...] = ()
    visible: tuple[bool, ...] = ()  # of each keypoint


@dataclass(frozen=True, slots=True)
class ImageAnnotation:
    """An image's file, its size, and its objects."""

    file: str
    width: int
    height: int
    objects: tuple[ObjectAnnotation, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """The objects of many images. `degenerate` polygons were left out; what else was, `left_out` counts."""

    names: PackedStrings
    class_names: tuple[str, ...]
    sizes: NDArray[np.int32]  # images x (width, height)
    object_ends: NDArray[np.int64]  # of each image, as the other ends are of what is above them
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
    def of(
        cls,
        images: Iterable[ImageAnnotation],
        class_names: Sequence[str] = (),
        degenerate: int = 0,
        left_out: int = 0,
    ) -> Annotations:
        """Without names for the classes they are called by their numbers."""
        names, sizes = [], array("i")
        ends = {kind: array("q") for kind in ("object", "polygon", "point", "keypoint")}
        labels, boxes, points, keypoints = array("i"), array("f"), array("f"), array("f")
        for image in images:
            names.append(image.file)
            sizes.extend((image.width, image.height))
            for outline in image.objects:
                labels.append(outline.label)
                boxes.extend(outline.box)
                for polygon in outline.polygons:
                    points.extend(edge for point in polygon for edge in point)
                    ends["point"].append(len(points) // 2)
                ends["polygon"].append(len(ends["point"]))
                seen = outline.visible or (True,) * len(outline.keypoints)
                for (x, y), is_seen in zip(outline.keypoints, seen, strict=True):
                    keypoints.extend((x, y, is_seen))
                ends["keypoint"].append(len(keypoints) // 3)
            ends["object"].append(len(labels))
        called = class_names or [str(label) for label in range(max(labels, default=-1) + 1)]
        return cls(
            PackedStrings.of(names),
            tuple(called),
            _as_rows(sizes, 2, np.int32),
            np.array(ends["object"], np.int64),
            np.array(labels, np.int32),
            _as_rows(boxes, 4, np.float32),
            np.array(ends["polygon"], np.int64),
            np.array(ends["point"], np.int64),
            _as_rows(points, 2, np.float32),
            np.array(ends["keypoint"], np.int64),
            _as_rows(keypoints, 3, np.float32),
            degenerate,
            left_out,
        )

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[ImageAnnotation]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> ImageAnnotation:
        name = self.names[row]
        width, height = self.sizes[row].tolist()
        objects = tuple(self._object(number) for number in _span(self.object_ends, row))
        return ImageAnnotation(name, width, height, objects)

    def _object(self, number: int) -> ObjectAnnotation:
        polygons = (_span(self.point_ends, polygon) for polygon in _span(self.polygon_ends, number))
        joints = _span(self.keypoint_ends, number)
        keypoints = self.keypoints[joints.start : joints.stop].tolist()
        left, top, right, bottom = self.boxes[number].tolist()
        return ObjectAnnotation(
            int(self.labels[number]),
            (left, top, right, bottom),
            tuple(tuple(map(tuple, self.points[span.start : span.stop].tolist())) for span in polygons),
            tuple((x, y) for x, y, _ in keypoints),
            tuple(bool(is_seen) for *_, is_seen in keypoints),
        )

    def rows(self) -> dict[str, int]:
        """Which row a file is."""
        return {self.names[row]: row for row in range(len(self))}

    def as_source(self, root: str | Path) -> FileSource:
        """These images under a root, as what loaders read from; each has the label 0."""
        return FileSource(
            str(Path(root).resolve()), self.names, np.zeros(len(self), np.int32), self.class_names
        )


def _as_rows(values: array[Any], columns: int, kind: type[np.generic]) -> NDArray[Any]:
    return np.array(values, kind).reshape(-1, columns)


def _span(ends: NDArray[np.int64], number: int) -> range:
    return range(int(ends[number - 1]) if number else 0, int(ends[number]))


def read_annotations(path: str | Path) -> Annotations:
    """A file as `perfsuite data make` or COCO writes it; degenerate polygons are left out and counted."""
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return _parse_coco(told) if "annotations" in told else _parse_perfsuite(told)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        why = f"no field {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"{path}: {why}; expected what 'perfsuite data make' writes, or COCO's instances or keypoints"
        ) from error


def _parse_perfsuite(told: Mapping[str, Any]) -> Annotations:
    images, degenerate = [], 0
    for row in told["images"]:
        outlines = []
        for thing in row["objects"]:
            polygon = tuple((float(x), float(y)) for x, y in thing["polygon"])
            if is_degenerate(polygon):
                degenerate += 1
                continue
            left, top, right, bottom = map(float, thing["box"])
            keypoints = tuple((float(x), float(y)) for x, y in thing.get("keypoints", ()))
            outlines.append(
                ObjectAnnotation(int(thing["label"]), (left, top, right, bottom), (polygon,), keypoints)
            )
        images.append(_image_annotation(row["file"], row, outlines))
    return Annotations.of(images, degenerate=degenerate)


def _parse_coco(told: Mapping[str, Any]) -> Annotations:
    """Crowds are left out and counted, and masks that are no polygons: those objects keep their box."""
    categories = sorted(told["categories"], key=lambda category: int(category["id"]))
    label = {int(category["id"]): number for number, category in enumerate(categories)}
    outlines: dict[int, list[ObjectAnnotation]] = {int(image["id"]): [] for image in told["images"]}
    degenerate = left_out = 0
    for thing in told["annotations"]:
        mask = thing.get("segmentation", [])
        polygons = [_to_polygon(flat) for flat in mask] if isinstance(mask, list) else []
        kept = tuple(polygon for polygon in polygons if not is_degenerate(polygon))
        degenerate += len(polygons) - len(kept)
        left, top, width, height = map(float, thing["bbox"])
        if thing.get("iscrowd") or width <= 0 or height <= 0:
            left_out += 1
            continue
        joints = _unflatten(thing.get("keypoints", []), 3)
        outlines[int(thing["image_id"])].append(
            ObjectAnnotation(
                label[int(thing["category_id"])],
                (left, top, left + width, top + height),
                kept,
                tuple((x, y) for x, y, _ in joints),
                tuple(seen > 0 for *_, seen in joints),
            )
        )
    images = [
        _image_annotation(image["file_name"], image, outlines[int(image["id"])]) for image in told["images"]
    ]
    return Annotations.of(images, [str(c["name"]) for c in categories], degenerate, left_out)


def _image_annotation(
    file: object, row: Mapping[str, Any], outlines: Iterable[ObjectAnnotation]
) -> ImageAnnotation:
    name = str(file)
    if not stays_inside(name):
        raise ValueError(f"the file {name!r} lies outside of the folder")
    return ImageAnnotation(name, int(row["width"]), int(row["height"]), tuple(outlines))


def _to_polygon(flat: Sequence[float]) -> Polygon:
    return tuple((x, y) for x, y in _unflatten(flat, 2))


def _unflatten(flat: Sequence[float], columns: int) -> tuple[tuple[float, ...], ...]:
    if len(flat) % columns:
        raise ValueError(f"{len(flat)} coordinates, expected a multiple of {columns}")
    return tuple(tuple(map(float, flat[at : at + columns])) for at in range(0, len(flat), columns))


def is_degenerate(polygon: Sequence[Sequence[float]]) -> bool:
    """Fewer than three corners, a corner that is no number, or next to no area.

    >>> is_degenerate([(0, 0), (9, 0), (9, 9)]), is_degenerate([(0, 0), (9, 9), (3, 3)])
    (False, True)
    """
    corners = np.array(polygon, dtype=np.float64).reshape(-1, 2)
    return (
        len(corners) < 3 or not bool(np.isfinite(corners).all()) or polygon_area(corners) < MIN_POLYGON_AREA
    )
