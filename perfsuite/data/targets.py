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
from perfsuite.transforms.labels.keypoints import FlipOrder, flip_order_of_pairs, is_mirrored
from perfsuite.transforms.labels.labels import Labels, TransformedLabels, transform_labels

Target = dict[str, Any]


class TargetBuilder:
    """Builds a dict for each image of a batch, with the keys that torchvision's detectors use.

    `row` is the image's row of the source. `boxes` (float32: left, top, right, bottom) and `labels` (int64,
    indices of `class_names`) are those of objects that are still visible. If the annotations have them,
    `polygons` is a list for each object, and `keypoints` is float32, objects x keypoints x (x, y, visible).
    With maps, `map` is the image's label map.

    In a mirrored image left and right keypoints change places: by the annotations' flip orders, or by
    `flip_pairs` of indices for all classes. Where neither is known, a mirrored image is an error.
    """

    def __init__(
        self, annotations: Annotations, size: int, flip_pairs: Sequence[tuple[int, int]] | None = None
    ) -> None:
        self._annotations, self._size = annotations, size
        self._row_by_file = annotations.row_by_file()
        self._max_keypoints = annotations.max_keypoints
        self._flip_orders = self._orders_by_class(flip_pairs)
        self._has_polygons = len(annotations.point_ends) > 0

    def check_flip_orders(self) -> None:
        """Raise a DataError if a class has keypoints whose flip order is unknown. Mirrors need it."""
        has_keypoints = np.diff(self._annotations.keypoint_ends, prepend=0) > 0
        for label in np.unique(self._annotations.labels[has_keypoints]).tolist():
            self._flip_order_of(label)

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
            flip_order=self._flip_order(objects) if any(map(is_mirrored, affines)) else None,
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
            annotated = keypoints[transformed.keypoint_indices, 2:]
            visible = annotated * transformed.keypoints_inside[:, None]
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
            keypoint_indices=cropped.keypoint_indices[augmented.keypoint_indices],
            keypoints_inside=cropped.keypoints_inside[augmented.keypoint_indices]
            & augmented.keypoints_inside,
            polygon_indices=cropped.polygon_indices[augmented.polygon_indices],
            boxes_dropped=cropped.boxes_dropped + augmented.boxes_dropped,
            polygons_dropped=cropped.polygons_dropped + augmented.polygons_dropped,
        )

    def _flip_order(self, objects: Sequence[ObjectAnnotation]) -> NDArray[np.int64] | None:
        """The flip order of the padded keypoints of all objects; None without keypoints."""
        if not self._max_keypoints or not objects:
            return None
        unchanged = np.arange(self._max_keypoints)
        orders = [self._flip_order_of(thing.label) if thing.keypoints else unchanged for thing in objects]
        return np.concatenate([order + index * len(order) for index, order in enumerate(orders)])

    def _flip_order_of(self, label: int) -> NDArray[np.int64]:
        if label not in self._flip_orders:
            raise DataError(
                f"keypoints: a mirror, and class {self._annotations.class_names[label]!r} without names that "
                "tell left from right, expected to know which keypoints change places; pass "
                "keypoint_flip_pairs=[(1, 2), ...], () if none do, or a mode without a mirror"
            )
        return self._flip_orders[label]

    def _orders_by_class(self, pairs: Sequence[tuple[int, int]] | None) -> dict[int, NDArray[np.int64]]:
        """The flip order of each class that has one, padded to the same number of keypoints."""
        orders: Sequence[FlipOrder | None] = self._annotations.flip_orders
        if pairs is not None:
            order = flip_order_of_pairs(self._max_keypoints, pairs)
            orders = [order] * len(self._annotations.class_names)
        return {
            label: np.array([*order, *range(len(order), self._max_keypoints)], np.int64)
            for label, order in enumerate(orders)
            if order is not None
        }

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
