"""Read annotation files: perfsuite's own format and COCO's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perfsuite.data.sources.annotations import Annotations, ImageAnnotation, ObjectAnnotation, Polygon
from perfsuite.errors import DataError
from perfsuite.paths import stays_inside
from perfsuite.transforms.labels.polygons import polygon_area

MIN_POLYGON_AREA = 1.0  # square pixels; a smaller polygon covers no pixel


def read_annotations(path: str | Path) -> Annotations:
    """Read a file of `perfsuite data make` or of COCO; degenerate polygons are skipped and counted."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return _parse_coco(content) if "annotations" in content else _parse_perfsuite(content)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        problem = f"no field {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"{path}: {problem}; expected what 'perfsuite data make' writes, or COCO's instances or keypoints"
        ) from error


def _parse_perfsuite(content: Mapping[str, Any]) -> Annotations:
    images, skipped_polygons = [], 0
    for row in content["images"]:
        objects = []
        for thing in row["objects"]:
            polygon = tuple((float(x), float(y)) for x, y in thing["polygon"])
            if is_degenerate(polygon):
                skipped_polygons += 1
                continue
            left, top, right, bottom = map(float, thing["box"])
            objects.append(
                ObjectAnnotation(
                    label=int(thing["label"]),
                    box=(left, top, right, bottom),
                    polygons=(polygon,),
                    keypoints=tuple((float(x), float(y)) for x, y in thing.get("keypoints", ())),
                )
            )
        images.append(_image_annotation(row["file"], row, objects))
    return Annotations.from_images(images, skipped_polygons=skipped_polygons)


def _parse_coco(content: Mapping[str, Any]) -> Annotations:
    """Skip and count crowds and empty boxes. An object whose mask is not made of polygons keeps its box."""
    categories = sorted(content["categories"], key=lambda category: int(category["id"]))
    label_of = {int(category["id"]): label for label, category in enumerate(categories)}
    objects: dict[int, list[ObjectAnnotation]] = {int(image["id"]): [] for image in content["images"]}
    skipped_polygons = skipped_objects = 0
    for thing in content["annotations"]:
        mask = thing.get("segmentation", [])
        polygons = [_to_polygon(flat) for flat in mask] if isinstance(mask, list) else []
        usable = tuple(polygon for polygon in polygons if not is_degenerate(polygon))
        skipped_polygons += len(polygons) - len(usable)
        left, top, width, height = map(float, thing["bbox"])
        if thing.get("iscrowd") or width <= 0 or height <= 0:
            skipped_objects += 1
            continue
        keypoints = _unflatten(thing.get("keypoints", []), 3)
        objects[int(thing["image_id"])].append(
            ObjectAnnotation(
                label=label_of[int(thing["category_id"])],
                box=(left, top, left + width, top + height),
                polygons=usable,
                keypoints=tuple((x, y) for x, y, _ in keypoints),
                visible=tuple(visibility > 0 for *_, visibility in keypoints),
            )
        )
    return Annotations.from_images(
        [
            _image_annotation(image["file_name"], image, objects[int(image["id"])])
            for image in content["images"]
        ],
        class_names=[str(category["name"]) for category in categories],
        skipped_polygons=skipped_polygons,
        skipped_objects=skipped_objects,
    )


def _image_annotation(
    file: object, row: Mapping[str, Any], objects: Iterable[ObjectAnnotation]
) -> ImageAnnotation:
    name = str(file)
    if not stays_inside(name):
        raise ValueError(f"the file {name!r} is outside of the folder")
    return ImageAnnotation(name, int(row["width"]), int(row["height"]), tuple(objects))


def _to_polygon(flat: Sequence[float]) -> Polygon:
    return tuple((x, y) for x, y in _unflatten(flat, 2))


def _unflatten(flat: Sequence[float], columns: int) -> tuple[tuple[float, ...], ...]:
    if len(flat) % columns:
        raise ValueError(f"{len(flat)} coordinates, expected a multiple of {columns}")
    return tuple(tuple(map(float, flat[start : start + columns])) for start in range(0, len(flat), columns))


def is_degenerate(polygon: Sequence[Sequence[float]]) -> bool:
    """Whether it has fewer than 3 corners, a corner that is not finite, or less than `MIN_POLYGON_AREA`.

    Stricter than the check after a transform (perfsuite.transforms.labels): an annotated polygon should cover
    a pixel, a transformed one may be clipped to less.

    >>> is_degenerate([(0, 0), (9, 0), (9, 9)]), is_degenerate([(0, 0), (9, 9), (3, 3)])
    (False, True)
    """
    corners = np.array(polygon, dtype=np.float64).reshape(-1, 2)
    return (
        len(corners) < 3 or not bool(np.isfinite(corners).all()) or polygon_area(corners) < MIN_POLYGON_AREA
    )
