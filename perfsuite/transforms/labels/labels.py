"""Transform the labels of an image (boxes, keypoints, polygons) by the affine map of the image.

Coordinates are pixels from the top left corner, pixel centers at half integers, x before y. Labels are
clipped at the edge of the image. Labels without area are dropped, and the drops are counted.

>>> mirrored = np.array([[-1.0, 0.0, 20.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
>>> moved = transform_labels(Labels(boxes=np.array([[1.0, 2.0, 4.0, 8.0]])), mirrored, height=10, width=20)
>>> moved.labels.boxes.tolist()
[[16.0, 2.0, 19.0, 8.0]]
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import DataError
from perfsuite.transforms.arrays import FloatArray, Matrix
from perfsuite.transforms.labels.boxes import clip_boxes, transform_boxes
from perfsuite.transforms.labels.keypoints import is_mirrored, points_inside, transform_points
from perfsuite.transforms.labels.polygons import MIN_AREA_PIXELS, clip_polygon, is_degenerate


def _empty(columns: int) -> FloatArray:
    return np.empty((0, columns))


@dataclass(frozen=True)
class Labels:
    """The labels of an image. Boxes are left, top, right, bottom.

    A mirror needs the `flip_order` of the keypoints: the indices of those that take their places, as
    `keypoints.flip_order_of_names` gives them for one skeleton.
    """

    boxes: FloatArray = field(default_factory=lambda: _empty(4))
    keypoints: FloatArray = field(default_factory=lambda: _empty(2))
    polygons: tuple[FloatArray, ...] = ()
    flip_order: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        for name, values, columns in [
            ("boxes", self.boxes, 4),
            ("keypoints", self.keypoints, 2),
            *((f"polygon {i}", polygon, 2) for i, polygon in enumerate(self.polygons)),
        ]:
            if values.ndim != 2 or values.shape[1] != columns:
                raise DataError(f"labels: {name} of shape {values.shape}, expected (number, {columns})")
            if not np.isfinite(values).all():
                raise DataError(
                    f"labels: {name} holds {values[~np.isfinite(values)][0]}, expected finite numbers"
                )
        if self.flip_order is not None and len(self.flip_order) != len(self.keypoints):
            raise DataError(
                f"labels: a flip order of {len(self.flip_order)}, expected one of all "
                f"{len(self.keypoints)} keypoints"
            )


@dataclass(frozen=True)
class TransformedLabels:
    """Labels after a transform: which of the original labels they are, and how many were dropped."""

    labels: Labels
    box_indices: NDArray[np.int64]
    keypoint_indices: NDArray[np.int64]
    keypoints_inside: NDArray[np.bool_]
    polygon_indices: NDArray[np.int64]
    boxes_dropped: int
    polygons_dropped: int


def transform_labels(
    labels: Labels,
    forward: Matrix,
    height: int,
    width: int,
    smallest_area: float = MIN_AREA_PIXELS,
) -> TransformedLabels:
    """Map all labels into an image of `height` and `width`.

    No keypoint is dropped, so that a skeleton keeps its joints; `keypoints_inside` says which are visible.
    After a mirror the left eye is where the right eye was, so keypoints change places by their flip order.
    """
    order = _keypoint_order(labels, forward)
    moved = Labels(
        transform_boxes(labels.boxes, forward),
        transform_points(labels.keypoints, forward)[order],
        tuple(transform_points(polygon, forward) for polygon in labels.polygons),
        labels.flip_order,
    )
    return replace(clip_labels(moved, height, width, smallest_area), keypoint_indices=order)


def _keypoint_order(labels: Labels, forward: Matrix) -> NDArray[np.int64]:
    if not len(labels.keypoints) or not is_mirrored(forward):
        return np.arange(len(labels.keypoints))
    if labels.flip_order is None:
        raise DataError(
            "labels: keypoints in a mirrored image, expected the flip order of left and right ones; "
            "pass Labels(flip_order=...), np.arange(number) if none change places"
        )
    return labels.flip_order


def clip_labels(
    moved: Labels, height: int, width: int, smallest_area: float = MIN_AREA_PIXELS
) -> TransformedLabels:
    """Clip mapped labels to an image of `height` and `width`, and drop those without area."""
    boxes = clip_boxes(moved.boxes, height, width)
    sides = boxes[:, 2:] - boxes[:, :2]
    box_indices = np.flatnonzero((sides > 0).all(1) & (sides.prod(1) >= smallest_area))
    polygons = [clip_polygon(polygon, height, width) for polygon in moved.polygons]
    polygon_indices = [i for i, polygon in enumerate(polygons) if not is_degenerate(polygon, smallest_area)]
    return TransformedLabels(
        labels=Labels(
            boxes[box_indices],
            moved.keypoints,
            tuple(polygons[i] for i in polygon_indices),
            moved.flip_order,
        ),
        box_indices=box_indices,
        keypoint_indices=np.arange(len(moved.keypoints)),
        keypoints_inside=points_inside(moved.keypoints, height, width),
        polygon_indices=np.array(polygon_indices, dtype=np.int64),
        boxes_dropped=len(boxes) - len(box_indices),
        polygons_dropped=len(polygons) - len(polygon_indices),
    )
