"""The law of the modes, pixel by pixel in float64 and as dull as can be: every fast form is compared with it.

>>> image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
>>> bool((oracle_augment(Draw(), image) == image).all())
True
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.augment.modes import Draw
from perfsuite.transforms.geometry import affine_matrix, erase_rectangle, invert_affine, output_size

ImageArray = NDArray[np.uint8]
LUMA_WEIGHTS = (0.299, 0.587, 0.114)


def oracle_augment(drawn: Draw, image: ImageArray, fill: int = 128) -> ImageArray:
    """Geometry, color, erasing."""
    made = _adjust_color(drawn, _warp(drawn, image, fill))
    rectangle = erase_rectangle(drawn, *made.shape[:2])
    if rectangle is not None:
        top, left, bottom, right = rectangle
        made[top:bottom, left:right] = fill
    return made


def _warp(drawn: Draw, image: ImageArray, fill: int) -> ImageArray:
    height, width = image.shape[:2]
    backward = invert_affine(affine_matrix(drawn, height, width))
    out_height, out_width = output_size(drawn, height, width)
    made = np.empty((out_height, out_width, 3))
    for y in range(out_height):
        for x in range(out_width):
            from_x, from_y, _ = backward @ (x + 0.5, y + 0.5, 1.0)
            made[y, x] = _sample_bilinear(image, from_x - 0.5, from_y - 0.5, fill)
    return _round_to_bytes(made)


def _sample_bilinear(image: ImageArray, x: float, y: float, fill: int) -> NDArray[np.float64]:
    """Between four pixel centers, each `fill` where it lies outside."""
    left, top = math.floor(x), math.floor(y)
    value = np.zeros(3)
    for row, weight_y in ((top, top + 1 - y), (top + 1, y - top)):
        for column, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
            inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
            value += weight_y * weight_x * (image[row, column] if inside else fill)
    return value


def _adjust_color(drawn: Draw, image: ImageArray) -> ImageArray:
    bright = _round_to_bytes(image * drawn.brightness)
    pivot = (bright @ np.array(LUMA_WEIGHTS)).mean()
    contrasted = _round_to_bytes(bright * drawn.contrast + (1 - drawn.contrast) * pivot)
    gray = (contrasted @ np.array(LUMA_WEIGHTS))[..., None]
    return _round_to_bytes(contrasted * drawn.saturation + (1 - drawn.saturation) * gray)


def _round_to_bytes(values: NDArray[Any]) -> ImageArray:
    # A billionth is what float64 may be off by; the nearest byte is the same for all but ties.
    return np.asarray(np.rint(np.round(np.clip(values, 0, 255), 9)), dtype=np.uint8)
