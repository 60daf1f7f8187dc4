"""The law of the modes, pixel by pixel in float64 and as dull as can be: every fast form is compared with it.

>>> picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
>>> bool((by_law(Draw(), picture) == picture).all())
True
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.geometry import affine, erased, inverse, size_after
from perfsuite.transforms.modes import Draw

Picture = NDArray[np.uint8]
GREY = (0.299, 0.587, 0.114)


def by_law(drawn: Draw, picture: Picture, fill: int = 128) -> Picture:
    """Geometry, colour, erasing."""
    made = _coloured(drawn, _moved(drawn, picture, fill))
    rectangle = erased(drawn, *made.shape[:2])
    if rectangle is not None:
        top, left, bottom, right = rectangle
        made[top:bottom, left:right] = fill
    return made


def _moved(drawn: Draw, picture: Picture, fill: int) -> Picture:
    height, width = picture.shape[:2]
    backward = inverse(affine(drawn, height, width))
    out_height, out_width = size_after(drawn, height, width)
    made = np.empty((out_height, out_width, 3))
    for y in range(out_height):
        for x in range(out_width):
            from_x, from_y, _ = backward @ (x + 0.5, y + 0.5, 1.0)
            made[y, x] = _sampled(picture, from_x - 0.5, from_y - 0.5, fill)
    return _bytes(made)


def _sampled(picture: Picture, x: float, y: float, fill: int) -> NDArray[np.float64]:
    """Between four pixel centres, each `fill` where it lies outside."""
    left, top = math.floor(x), math.floor(y)
    value = np.zeros(3)
    for row, weight_y in ((top, top + 1 - y), (top + 1, y - top)):
        for column, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
            inside = 0 <= row < picture.shape[0] and 0 <= column < picture.shape[1]
            value += weight_y * weight_x * (picture[row, column] if inside else fill)
    return value


def _coloured(drawn: Draw, picture: Picture) -> Picture:
    bright = _bytes(picture * drawn.brightness)
    pivot = (bright @ np.array(GREY)).mean()
    contrasted = _bytes(bright * drawn.contrast + (1 - drawn.contrast) * pivot)
    grey = (contrasted @ np.array(GREY))[..., None]
    return _bytes(contrasted * drawn.saturation + (1 - drawn.saturation) * grey)


def _bytes(values: NDArray[Any]) -> Picture:
    # A billionth is what float64 may be off by; the nearest byte is the same for all but ties.
    return np.asarray(np.rint(np.round(np.clip(values, 0, 255), 9)), dtype=np.uint8)
