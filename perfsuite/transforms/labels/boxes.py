"""Boxes: left, top, right, bottom in pixels, (number, 4)."""

from __future__ import annotations

import numpy as np

from perfsuite.transforms.arrays import FloatArray, Matrix
from perfsuite.transforms.labels.keypoints import transform_points


def box_corners(boxes: FloatArray) -> FloatArray:
    """The four corners of each box, clockwise from the top left: (number, 4, 2)."""
    return boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]


def transform_boxes(boxes: FloatArray, forward: Matrix) -> FloatArray:
    """The smallest upright box around the four mapped corners.

    >>> turned = np.array([[0.0, -1.0, 10.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    >>> transform_boxes(np.array([[1.0, 2.0, 4.0, 8.0]]), turned).tolist()
    [[2.0, 1.0, 8.0, 4.0]]
    """
    corners = transform_points(box_corners(boxes), forward)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def clip_boxes(boxes: FloatArray, height: int, width: int) -> FloatArray:
    """Clip boxes to the image; a box outside it is left without area."""
    return np.clip(boxes, 0, np.array([width, height, width, height], dtype=float))
