"""The oracle of augmentation: one pixel after another, in float64, by formulas of its own.

It shares no code with the package: not the affine map, not the rectangle, not the rounding.

>>> image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
>>> bool((oracle_augment(AugmentationParameters(), image) == image).all())
True
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.augment.parameters import AugmentationParameters

ImageArray = NDArray[np.uint8]
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])


def oracle_augment(parameters: AugmentationParameters, image: ImageArray, fill: int = 128) -> ImageArray:
    """Geometry, then color, then erasing."""
    return erase(parameters, adjust_color(parameters, warp(parameters, image, fill)), fill)


def warp(parameters: AugmentationParameters, image: ImageArray, fill: int) -> ImageArray:
    height, width = image.shape[:2]
    is_turned = parameters.quarter_turns % 2 == 1
    out_height, out_width = (width, height) if is_turned else (height, width)
    warped = np.empty((out_height, out_width, 3))
    for row in range(out_height):
        for column in range(out_width):
            x, y = source_of(parameters, column + 0.5, row + 0.5, (height, width), (out_height, out_width))
            warped[row, column] = sample_bilinear(image, x - 0.5, y - 0.5, fill)
    return round_to_bytes(warped)


def source_of(
    parameters: AugmentationParameters, x: float, y: float, size: tuple[int, int], out_size: tuple[int, int]
) -> tuple[float, float]:
    """Where an output point comes from: the steps undone one by one, about the center."""
    x, y = x - out_size[1] * (0.5 + parameters.shift_x), y - out_size[0] * (0.5 + parameters.shift_y)
    if parameters.mirror:
        x = -x
    for _ in range(int(parameters.quarter_turns)):
        x, y = -y, x
    cos, sin = math.cos(math.radians(parameters.degrees)), math.sin(math.radians(parameters.degrees))
    x, y = cos * x - sin * y, sin * x + cos * y
    return size[1] / 2 + x / parameters.zoom, size[0] / 2 + y / parameters.zoom


def sample_bilinear(image: ImageArray, x: float, y: float, fill: int) -> NDArray[np.float64]:
    """Between four pixel centers, each `fill` where it lies outside."""
    left, top = math.floor(x), math.floor(y)
    value = np.zeros(3)
    for row, weight_y in ((top, top + 1 - y), (top + 1, y - top)):
        for column, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
            inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
            value += weight_y * weight_x * (image[row, column] if inside else fill)
    return value


def adjust_color(parameters: AugmentationParameters, image: ImageArray) -> ImageArray:
    bright = round_to_bytes(image * parameters.brightness)
    mean_gray = (bright @ LUMA_WEIGHTS).mean()
    contrasted = round_to_bytes(bright * parameters.contrast + (1 - parameters.contrast) * mean_gray)
    gray = (contrasted @ LUMA_WEIGHTS)[..., None]
    return round_to_bytes(contrasted * parameters.saturation + (1 - parameters.saturation) * gray)


def erase(parameters: AugmentationParameters, image: ImageArray, fill: int) -> ImageArray:
    """Pixels whose centers lie between the rounded edges."""
    erased = image.copy()
    edges_y = [
        round(at * image.shape[0])
        for at in (parameters.erase_top, parameters.erase_top + parameters.erase_height)
    ]
    edges_x = [
        round(at * image.shape[1])
        for at in (parameters.erase_left, parameters.erase_left + parameters.erase_width)
    ]
    for row, column in np.ndindex(*image.shape[:2]):
        if edges_y[0] < row + 0.5 < edges_y[1] and edges_x[0] < column + 0.5 < edges_x[1]:
            erased[row, column] = fill
    return erased


def round_to_bytes(values: NDArray[Any]) -> ImageArray:
    # Float64 may be off by a billionth; the nearest byte is the same for all but ties.
    return np.asarray(np.rint(np.round(np.clip(values, 0, 255), 9)), dtype=np.uint8)
