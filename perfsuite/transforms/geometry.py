"""All geometry of a draw as one affine map between images, in pixels from the top left corner.

Pixel centers lie at half integers: an image of width W spans 0..W, so mirroring is x -> W - x.

>>> forward = affine_matrix(Draw(mirror=True), height=10, width=20)
>>> (forward @ [3.0, 4.0, 1.0]).tolist()
[17.0, 4.0, 1.0]
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import DataError
from perfsuite.transforms.augment.modes import Draw

Matrix = NDArray[np.float64]

_IDENTITY = np.eye(3)[:2]

# cos and sin of quarter turns, exact.
_QUARTER_TURN_COS_SIN = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))


def affine_matrix(drawn: Draw, height: int, width: int) -> Matrix:
    """From where a point was to where it goes: zoom, rotate, turn, mirror, shift, in this order."""
    out_height, out_width = output_size(drawn, height, width)
    cos, sin = math.cos(math.radians(drawn.degrees)), math.sin(math.radians(drawn.degrees))
    cos_turn, sin_turn = _QUARTER_TURN_COS_SIN[drawn.quarter_turns % 4]
    turn = rotation_matrix(cos_turn, sin_turn) @ (drawn.zoom * rotation_matrix(cos, sin))
    if drawn.mirror:
        turn[0] *= -1
    center = np.array([width / 2, height / 2])
    center_after = np.array([out_width * (0.5 + drawn.shift_x), out_height * (0.5 + drawn.shift_y)])
    forward = np.eye(3)
    forward[:2, :2] = turn
    forward[:2, 2] = center_after - turn @ center
    return forward


def inverse_coefficients(
    drawn: Draw, height: int, width: int
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """The inverse of `affine_matrix` without its last row, in plain numbers: it is needed for every image."""
    out_height, out_width = output_size(drawn, height, width)
    cos_turn, sin_turn = _QUARTER_TURN_COS_SIN[drawn.quarter_turns % 4]
    radians = math.radians(drawn.degrees)
    cos = (math.cos(radians) * cos_turn - math.sin(radians) * sin_turn) / drawn.zoom
    sin = (math.sin(radians) * cos_turn + math.cos(radians) * sin_turn) / drawn.zoom
    side = -1.0 if drawn.mirror else 1.0
    from_x, from_y = out_width * (0.5 + drawn.shift_x), out_height * (0.5 + drawn.shift_y)
    xx, xy, yx, yy = side * cos, -sin, side * sin, cos
    return (
        (xx, xy, width / 2 - xx * from_x - xy * from_y),
        (yx, yy, height / 2 - yx * from_x - yy * from_y),
    )


def rotation_matrix(cos: float, sin: float) -> Matrix:
    """Counter-clockwise as seen, with y pointing down."""
    return np.array([[cos, sin], [-sin, cos]])


def output_size(drawn: Draw, height: int, width: int) -> tuple[int, int]:
    """Height and width of the answer: odd quarter turns exchange them.

    >>> output_size(Draw(quarter_turns=1), 10, 20)
    (20, 10)
    """
    return (width, height) if drawn.quarter_turns % 2 else (height, width)


def is_pixel_permutation(drawn: Draw) -> bool:
    """True where every pixel lands on a pixel, so that nothing need be sampled.

    >>> is_pixel_permutation(Draw(mirror=True, quarter_turns=3)), is_pixel_permutation(Draw(degrees=5.0))
    (True, False)
    """
    return drawn.degrees == 0 and drawn.zoom == 1 and drawn.shift_x == 0 and drawn.shift_y == 0


def is_identity(forward: Matrix) -> bool:
    """Whether every point stays where it is."""
    return bool((forward[:2] == _IDENTITY).all())


def invert_affine(forward: Matrix) -> Matrix:
    """From where a point goes back to where it was."""
    determinant = float(np.linalg.det(forward))
    if not math.isfinite(determinant) or abs(determinant) < 1e-12:
        raise DataError(f"geometry: map with determinant {determinant:g}, expected one that can be undone")
    return np.asarray(np.linalg.inv(forward))


def erase_rectangle(drawn: Draw, height: int, width: int) -> tuple[int, int, int, int] | None:
    """Top, left, bottom, right of the erased rectangle in whole pixels, or None.

    >>> erase_rectangle(Draw(erase_top=0.1, erase_left=0.0, erase_height=0.5, erase_width=0.25), 10, 20)
    (1, 0, 6, 5)
    """
    top, left = round(drawn.erase_top * height), round(drawn.erase_left * width)
    bottom = round((drawn.erase_top + drawn.erase_height) * height)
    right = round((drawn.erase_left + drawn.erase_width) * width)
    return (top, left, bottom, right) if bottom > top and right > left else None
