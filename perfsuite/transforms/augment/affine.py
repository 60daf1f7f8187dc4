"""The geometry of an image's augmentation as one affine map.

The inverse exists in two forms, which round differently in the last bit: a closed form in plain numbers for
one image on the CPU, and a matrix inverse for a batch.

>>> (AffineParameters(mirror=1.0).affine_matrix(height=10, width=20) @ [3.0, 4.0, 1.0]).tolist()
[17.0, 4.0, 1.0]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfsuite.transforms.arrays import FloatArray, Matrix
from perfsuite.transforms.geometry import rotation_matrix

AffineRow = tuple[float, float, float]
# Cosine and sine of quarter turns, exact.
_QUARTER_TURN_COS_SIN = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))


@dataclass(slots=True)
class AffineParameters:
    """What the geometric operations add up to. They write into it in turn, so it is not frozen.

    Each field is a number, or an array with a number for each image of a batch. The map applies them in this
    order: linear, zoom, rotation, quarter turns, mirror, shift.
    """

    degrees: Any = 0.0  # counter-clockwise
    quarter_turns: Any = 0.0  # counter-clockwise
    zoom: Any = 1.0
    mirror: Any = 0.0
    shift_x: Any = 0.0  # in widths, to the right
    shift_y: Any = 0.0  # in heights, down
    linear: tuple[Any, Any, Any, Any] | None = None  # xx, xy, yx, yy of any other linear map

    @property
    def is_pixel_permutation(self) -> bool:
        """Whether every pixel lands on a pixel, so that no sampling is needed.

        >>> [AffineParameters(degrees=degrees).is_pixel_permutation for degrees in (0.0, 5.0)]
        [True, False]
        """
        is_aligned = self.degrees == 0 and self.zoom == 1 and self.shift_x == 0 and self.shift_y == 0
        return bool(is_aligned and self.linear is None)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output: odd quarter turns exchange them.

        >>> AffineParameters(quarter_turns=1).output_size(10, 20)
        (20, 10)
        """
        return (width, height) if self.quarter_turns % 2 else (height, width)

    def affine_matrix(self, height: int, width: int) -> Matrix:
        """The map from input pixels to output pixels."""
        out_height, out_width = self.output_size(height, width)
        cos, sin = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        cos_turn, sin_turn = _QUARTER_TURN_COS_SIN[int(self.quarter_turns) % 4]
        turn = rotation_matrix(cos_turn, sin_turn) @ (self.zoom * rotation_matrix(cos, sin))
        if self.mirror:
            turn[0] *= -1
        if self.linear is not None:
            turn = turn @ np.reshape(self.linear, (2, 2))
        center = np.array([width / 2, height / 2])
        center_after = np.array([out_width * (0.5 + self.shift_x), out_height * (0.5 + self.shift_y)])
        forward = np.eye(3)
        forward[:2, :2] = turn
        forward[:2, 2] = center_after - turn @ center
        return forward

    def inverse_coefficients(self, height: int, width: int) -> tuple[AffineRow, AffineRow]:
        """The first two rows of the inverse map. In plain numbers, because every image needs them."""
        if self.linear is not None:
            first, second, _ = np.linalg.inv(self.affine_matrix(height, width)).tolist()
            return tuple(first), tuple(second)
        out_height, out_width = self.output_size(height, width)
        cos_turn, sin_turn = _QUARTER_TURN_COS_SIN[int(self.quarter_turns) % 4]
        radians = math.radians(self.degrees)
        cos = (math.cos(radians) * cos_turn - math.sin(radians) * sin_turn) / self.zoom
        sin = (math.sin(radians) * cos_turn + math.cos(radians) * sin_turn) / self.zoom
        side = -1.0 if self.mirror else 1.0
        from_x, from_y = out_width * (0.5 + self.shift_x), out_height * (0.5 + self.shift_y)
        xx, xy, yx, yy = side * cos, -sin, side * sin, cos
        return (
            (xx, xy, width / 2 - xx * from_x - xy * from_y),
            (yx, yy, height / 2 - yx * from_x - yy * from_y),
        )

    def inverse_coefficients_batch(self, height: int, width: int) -> FloatArray:
        """The inverse maps of a map whose fields are arrays, (N, 2, 3)."""
        radians = np.deg2rad(self.degrees + 90 * self.quarter_turns)
        cos, sin = self.zoom * np.cos(radians), self.zoom * np.sin(radians)
        side = 1 - 2 * self.mirror
        turn = np.stack([np.stack([side * cos, side * sin], 1), np.stack([-sin, cos], 1)], 1)
        if self.linear is not None:
            turn = turn @ np.stack(np.broadcast_arrays(*self.linear), axis=1).reshape(-1, 2, 2)
        shift = np.stack([self.shift_x * width, self.shift_y * height], 1)
        center = np.array([width / 2, height / 2])
        inverse = np.linalg.inv(turn)
        offset = center - np.einsum("nij,nj->ni", inverse, center + shift)
        return np.concatenate([inverse, offset[:, :, None]], axis=2)
