"""Maps: a class or a number for each pixel, height x width and any further dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.arrays import FloatArray, Matrix


def warp_map(
    values: NDArray[np.generic], inverse: Matrix, height: int, width: int, fill: float
) -> NDArray[np.generic]:
    """Warp a map (height x width, any further dimensions) by the inverse of the image's affine map.

    Integers are classes: each output pixel takes the class of the pixel that it falls into. Floats are
    interpolated bilinearly. What lies outside is `fill`.
    """
    x: FloatArray = np.arange(width, dtype=np.float64)[None, :] + 0.5
    y: FloatArray = np.arange(height, dtype=np.float64)[:, None] + 0.5
    from_x, from_y = _source_coordinates(inverse[0], x, y), _source_coordinates(inverse[1], y, x, first=1)
    if not np.issubdtype(values.dtype, np.floating):
        return _gather_pixels(values, np.floor(from_y), np.floor(from_x), fill)
    left, top = np.floor(from_x - 0.5), np.floor(from_y - 0.5)
    channel_axes = (slice(None), slice(None)) + (None,) * (values.ndim - 2)
    share_x, share_y = (from_x - 0.5 - left)[channel_axes], (from_y - 0.5 - top)[channel_axes]
    upper = (
        _gather_pixels(values, top, left, fill) * (1 - share_x)
        + _gather_pixels(values, top, left + 1, fill) * share_x
    )
    lower = (
        _gather_pixels(values, top + 1, left, fill) * (1 - share_x)
        + _gather_pixels(values, top + 1, left + 1, fill) * share_x
    )
    return np.asarray(upper * (1 - share_y) + lower * share_y, dtype=values.dtype)


def _source_coordinates(
    line: FloatArray, along: FloatArray, across: FloatArray, first: int = 0
) -> FloatArray:
    """One source coordinate of every output pixel: a row or a column without rotation, else a whole array."""
    coordinates = line[first] * along
    if line[1 - first] != 0:
        coordinates = coordinates + line[1 - first] * across
    return np.asarray(coordinates + line[2])


def _gather_pixels(values: NDArray[Any], rows: FloatArray, columns: FloatArray, fill: float) -> NDArray[Any]:
    height, width = values.shape[:2]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    pixels = values[
        np.clip(rows, 0, height - 1).astype(np.intp), np.clip(columns, 0, width - 1).astype(np.intp)
    ]
    pixels[~inside] = fill
    return pixels
