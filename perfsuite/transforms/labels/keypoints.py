"""Keypoints: x and y in pixels from the top left corner, (number, 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.arrays import FloatArray, Matrix


def transform_points(points: FloatArray, forward: Matrix) -> FloatArray:
    """Map points, an array whose last axis is x and y."""
    return np.asarray(points @ forward[:2, :2].T + forward[:2, 2])


def points_inside(points: FloatArray, height: int, width: int) -> NDArray[np.bool_]:
    """For each point, whether it lies in the image."""
    x, y = points[:, 0], points[:, 1]
    return np.asarray((x >= 0) & (x < width) & (y >= 0) & (y < height))
