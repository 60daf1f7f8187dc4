"""Build detection targets: the objects of each image of a batch, at their place in the crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.data.batch import UNKNOWN_SIZE, Batch
from perfsuite.data.sources.annotations import Annotations, ImageAnnotation, ObjectAnnotation
from perfsuite.data.sources.base import ImageSource
from perfsuite.errors import DataError
from perfsuite.transforms.geometry import is_identity
from perfsuite.transforms.labels.labels import Labels, TransformedLabels, transform_labels

Target = dict[str, Any]


class TargetBuilder:
    """Builds a dict for each image of a batch, with the keys that torchvision's detectors use.

    `row` is the image's row of the source. `boxes` (float32: left, top, right, bottom) and `labels` (int64,
    indices of `class_names`) are those of objects that are still visible. If the annotations have them,
    `polygons` is a list for each object, and `keypoints` is float32, objects x keypoints x (x, y, visible).
    With maps, `map` is the image's label map.
    """

    def __init__(self, annotations: Annotations, size: int) -> None:
        self._annotations, self._size = annotations, size
        self._row_by_file = annotations.row_by_file()
        counts = np.diff(annotations.keypoint_ends, prepend=0)
        self._max_keypoints = int(counts.max(initial=0))
        self._has_polygons = len(annotations.point_ends) > 0

    def build(self, batch: Batch, source: ImageSource) -> list[Target]:
        if batch.affines is None or batch.original_sizes is None:
            raise ValueError("targets: the batch has no affines; set with_geometry in ImageConfig")
        affines, sizes = batch.affines.numpy(), batch.original_sizes.numpy()
        targets = []
        for position, row in enumerate(batch.rows.tolist()):
            annotation = self._annotation_of(source.name(row), *sizes[position].tolist())
            target = {"row": row, **self._build_one(annotation, affines[position])}
            if batch.maps is not None:
                target["map"] = batch.maps[position].clone()
            targets.append(target)
        return targets

    def _annotation_of(self, name: str, width: int, height: int) -> ImageAnnotation:
        row = self._row_by_file.get(name)
        if row is None:
            raise DataError(f"{name}: no annotation for this file, expected one; annotate it or leave it out")
        annotation = self._annotations[row]
        if (width, height) not in ((annotation.width, annotation.height), UNKNOWN_SIZE):
            raise DataError(
                f"{name}: the image is {width}x{height} pixels, expected its annotation's "
                f"{annotation.width}x{annotation.height}; "
                "annotate images in their upright orientation (EXIF applied)"
            )
        return annotation

    def _build_one(self, annotation: ImageAnnotation, affines: NDArray[np.float64]) -> Target:
        objects = annotation.objects
        polygon_owners = [index for index, thing in enumerate(objects) for _ in thing.polygons]
        keypoints = np.array([self._padded_keypoints(thing) for thing in objects]).reshape(-1, 3)
        labels = Labels(
            boxes=np.array([thing.box for thing in objects]).reshape(-1, 4),
            keypoints=keypoints[:, :2],
            polygons=tuple(np.array(polygon) for thing in objects for polygon in thing.polygons),
        )
        transformed = self._transform_labels(labels, affines)
        visible_objects = transformed.box_indices
        target: Target = {
            "boxes": torch.from_numpy(transformed.labels.boxes.astype(np.float32)),
            "labels": torch.tensor([objects[index].label for index in visible_objects], dtype=torch.int64),
        }
        if self._has_polygons:
            target["polygons"] = _polygons_by_object(transformed, polygon_owners, visible_objects)
        if self._max_keypoints:
            visible = keypoints[:, 2:] * transformed.keypoints_inside[:, None]
            columns = np.concatenate([transformed.labels.keypoints, visible], axis=1)
            by_object = columns.reshape(len(objects), self._max_keypoints, 3)[visible_objects]
            target["keypoints"] = torch.from_numpy(by_object.astype(np.float32))
        return target

    def _transform_labels(self, labels: Labels, affines: NDArray[np.float64]) -> TransformedLabels:
        """Clip to the crop first, then augment: a rotation must not restore what was clipped."""
        crop, augmentation = (np.vstack([affine, (0, 0, 1)]) for affine in affines)
        cropped = transform_labels(labels, crop, self._size, self._size)
        if is_identity(augmentation):
            return cropped
        augmented = transform_labels(cropped.labels, augmentation, self._size, self._size)
        return TransformedLabels(
            augmented.labels,
            box_indices=cropped.box_indices[augmented.box_indices],
            keypoints_inside=cropped.keypoints_inside & augmented.keypoints_inside,
            polygon_indices=cropped.polygon_indices[augmented.polygon_indices],
            boxes_dropped=cropped.boxes_dropped + augmented.boxes_dropped,
            polygons_dropped=cropped.polygons_dropped + augmented.polygons_dropped,
        )

    def _padded_keypoints(self, thing: ObjectAnnotation) -> list[tuple[float, float, float]]:
        """Pad each object's keypoints to the same count with invisible ones."""
        keypoints = [
            (x, y, float(visible)) for (x, y), visible in zip(thing.keypoints, thing.visible, strict=True)
        ]
        return keypoints + [(0.0, 0.0, 0.0)] * (self._max_keypoints - len(keypoints))


def _polygons_by_object(
    transformed: TransformedLabels, owners: Sequence[int], objects: NDArray[np.int64]
) -> list[list[torch.Tensor]]:
    """The remaining polygons of each object of `objects`; `owners` is the object of each original polygon."""
    by_object: dict[int, list[torch.Tensor]] = {index: [] for index in objects.tolist()}
    for polygon, index in zip(transformed.labels.polygons, transformed.polygon_indices.tolist(), strict=True):
        if owners[index] in by_object:
            by_object[owners[index]].append(torch.from_numpy(polygon.astype(np.float32)))
    return list(by_object.values())
