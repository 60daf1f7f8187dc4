"""Read annotation files: perfsuite's own format and COCO's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from perfsuite.data.sources.annotations import (
    Annotations,
    ImageAnnotation,
    ObjectAnnotation,
    Point,
    Polygon,
)
from perfsuite.data.sources.label_files import read_label_file
from perfsuite.errors import DataError
from perfsuite.transforms.labels.keypoints import flip_order_of_names, flip_order_of_pairs
from perfsuite.transforms.labels.polygons import is_degenerate

if TYPE_CHECKING:
    from perfsuite.data.sources.annotation_schema import CocoAnnotation, CocoCategory, CocoFile, PerfsuiteFile

MIN_POLYGON_AREA = 1.0  # square pixels; a smaller polygon covers one pixel at most
PIXEL_CENTER = 0.5  # from a pixel's index to the coordinate of its center
_FORMATS = "what 'perfsuite data make' writes, or COCO's instances or keypoints"
Key = TypeVar("Key", int, str)
Value = TypeVar("Value")


def read_annotations(path: str | Path) -> Annotations:
    """Read a file of `perfsuite data make` or of COCO; degenerate polygons are skipped and counted."""
    # Not at the top: importing pydantic takes 0.2 s, and workers do not read annotations.
    from perfsuite.data.sources.annotation_schema import CocoFile, PerfsuiteFile, parse_json, validate_file

    data = read_label_file(path)
    try:
        content = parse_json(data)
        if not isinstance(content, dict):
            raise DataError(f"the file: {type(content).__name__}, expected an object with images")
        if "annotations" in content:
            return _from_coco(validate_file(content, CocoFile))
        return _from_perfsuite(validate_file(content, PerfsuiteFile))
    except DataError as error:
        raise DataError(f"{path}: {error}; write {_FORMATS}") from error


def _from_perfsuite(content: PerfsuiteFile) -> Annotations:
    _check_unique("images[{}].file", [image.file for image in content.images])
    images, skipped_polygons = [], 0
    for image in content.images:
        objects = []
        for thing in image.objects:
            polygon = _to_points(thing.polygon)
            if _covers_nothing(polygon):
                skipped_polygons += 1
                continue
            left, top, right, bottom = thing.box
            objects.append(
                ObjectAnnotation(
                    label=thing.label,
                    box=(left, top, right, bottom),
                    polygons=(polygon,),
                    keypoints=_to_points(thing.keypoints),
                )
            )
        images.append(ImageAnnotation(image.file, image.width, image.height, tuple(objects)))
    annotations = Annotations.from_images(images, skipped_polygons=skipped_polygons)
    if content.keypoint_flip_pairs is None:
        return annotations
    count = annotations.max_keypoints
    order = flip_order_of_pairs(count, [(pair[0], pair[1]) for pair in content.keypoint_flip_pairs])
    return annotations.with_flip_orders([order] * len(annotations.class_names))


def _from_coco(content: CocoFile) -> Annotations:
    """Skip and count crowds, empty boxes, and masks that are not made of polygons, whose objects stay."""
    _check_unique("images[{}].id", [image.id for image in content.images])
    _check_unique("images[{}].file_name", [image.file_name for image in content.images])
    _check_unique("categories[{}].id", [category.id for category in content.categories])
    categories = sorted(content.categories, key=lambda category: category.id)
    label_of = {category.id: label for label, category in enumerate(categories)}
    objects: dict[int, list[ObjectAnnotation]] = {image.id: [] for image in content.images}
    shift = _keypoint_shift(content.annotations)
    skipped_polygons = skipped_objects = skipped_masks = 0
    for index, thing in enumerate(content.annotations):
        place = f"annotations[{index}]"
        label = _look_up(label_of, thing.category_id, f"{place}.category_id", "categories")
        of_image = _look_up(objects, thing.image_id, f"{place}.image_id", "images")
        polygons = _coco_polygons(thing, place)
        usable = tuple(polygon for polygon in polygons if not _covers_nothing(polygon))
        skipped_polygons += len(polygons) - len(usable)
        left, top, width, height = thing.bbox
        keypoints, visible = _coco_keypoints(thing, categories[label], shift, place)
        if thing.iscrowd or width <= 0 or height <= 0:
            skipped_objects += 1
            continue
        skipped_masks += isinstance(thing.segmentation, dict)
        of_image.append(
            ObjectAnnotation(
                label=label,
                box=(left, top, left + width, top + height),
                polygons=usable,
                keypoints=keypoints,
                visible=visible,
            )
        )
    return Annotations.from_images(
        [
            ImageAnnotation(image.file_name, image.width, image.height, tuple(objects[image.id]))
            for image in content.images
        ],
        class_names=[category.name for category in categories],
        skipped_polygons=skipped_polygons,
        skipped_objects=skipped_objects,
        skipped_masks=skipped_masks,
    ).with_flip_orders([flip_order_of_names(category.keypoints) for category in categories])


def _coco_polygons(thing: CocoAnnotation, place: str) -> list[Polygon]:
    if not isinstance(thing.segmentation, list):
        return []
    for number, flat in enumerate(thing.segmentation):
        if len(flat) % 2:
            raise DataError(
                f"{place}.segmentation[{number}]: {len(flat)} coordinates, expected an even number"
            )
    return [tuple(zip(flat[::2], flat[1::2], strict=True)) for flat in thing.segmentation]


def _coco_keypoints(
    thing: CocoAnnotation, category: CocoCategory, shift: float, place: str
) -> tuple[tuple[Point, ...], tuple[bool, ...]]:
    """The keypoints of an object, and whether each is annotated; those that are not stay at 0, 0."""
    flat = thing.keypoints
    expected = 3 * len(category.keypoints)
    if len(flat) % 3 or (flat and expected and len(flat) != expected):
        raise DataError(
            f"{place}.keypoints: {len(flat)} numbers, expected {expected or 'a multiple of 3'}: "
            "x, y and visibility of each"
        )
    visible = tuple(visibility > 0 for visibility in flat[2::3])
    points = zip(flat[::3], flat[1::3], visible, strict=True)
    return tuple((x + shift, y + shift) if known else (x, y) for x, y, known in points), visible


def _keypoint_shift(things: Iterable[CocoAnnotation]) -> float:
    """What to add to a file's keypoints (docs/decisions/0016).

    COCO's are whole numbers, the indices of pixels. A file with any fractional keypoint has coordinates.
    """
    is_index = all(
        x.is_integer() and y.is_integer()
        for thing in things
        for x, y in zip(thing.keypoints[::3], thing.keypoints[1::3], strict=False)
    )
    return PIXEL_CENTER if is_index else 0.0


def _look_up(known: dict[int, Value], key: int, place: str, table: str) -> Value:
    if key not in known:
        raise DataError(f"{place}: {key}, expected the id of one of the file's {table}")
    return known[key]


def _check_unique(place: str, values: Sequence[Key]) -> None:
    repeated = {value for value, count in Counter(values).items() if count > 1}
    for index, value in enumerate(values) if repeated else ():
        if value in repeated:
            raise DataError(f"{place.format(index)}: {value!r} more than once, expected each once")


def _to_points(points: Iterable[Sequence[float]]) -> tuple[Point, ...]:
    return tuple((x, y) for x, y in points)


def _covers_nothing(polygon: Polygon) -> bool:
    """Whether an annotated polygon is degenerate.

    Stricter than after a transform: it should cover a pixel, while a transformed one may be clipped to less.
    """
    return len(polygon) < 3 or is_degenerate(np.array(polygon), MIN_POLYGON_AREA)
