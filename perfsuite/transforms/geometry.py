"""Affine maps between images, in pixels from the top left corner.

Pixel centers lie at half integers: an image of width W spans 0..W, so mirroring is x -> W - x.

>>> turned = rotation_matrix(cos=0.0, sin=1.0)
>>> (turned @ [1.0, 0.0]).tolist()
[0.0, -1.0]
"""

from __future__ import annotations

import math

import numpy as np

from perfsuite.errors import DataError
from perfsuite.transforms.arrays import Matrix

_IDENTITY = np.eye(3)[:2]


def rotation_matrix(cos: float, sin: float) -> Matrix:
    """A 2 x 2 rotation that a viewer sees as counter-clockwise; y points down."""
    return np.array([[cos, sin], [-sin, cos]])


def is_identity(forward: Matrix) -> bool:
    """Whether the map leaves every point where it is."""
    return bool((forward[:2] == _IDENTITY).all())


def invert_affine(forward: Matrix) -> Matrix:
    """The inverse map: from output coordinates to input coordinates."""
    determinant = float(np.linalg.det(forward))
    if not math.isfinite(determinant) or abs(determinant) < 1e-12:
        raise DataError(
            f"geometry: map with determinant {determinant:g}, expected one that can be inverted; "
            "check the zoom and the crop"
        )
    return np.asarray(np.linalg.inv(forward))
