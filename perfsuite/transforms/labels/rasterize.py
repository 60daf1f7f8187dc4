"""Draw polygons into a mask: a pixel is covered if its center lies inside.

Inside is decided by the even-odd rule, as in OpenCV, Pillow and pycocotools: a ray from the point crosses the
outline an odd number of times. So both lobes of a figure eight are covered, and the middle of a pentagram is
not. A center that lies exactly on an edge belongs to the polygon below that edge (right of a vertical edge),
so adjoining polygons neither overlap nor leave a gap.

>>> square = np.array([[2.0, 2.0], [5.0, 2.0], [5.0, 5.0], [2.0, 5.0]])
>>> int(polygon_mask(square, height=8, width=8).sum())
9
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import DataError
from perfsuite.transforms.arrays import FloatArray
from perfsuite.transforms.optional_libraries import is_installed

DrawFunction = Callable[[NDArray[Any], FloatArray, int], None]


def polygon_mask(polygon: FloatArray, height: int, width: int) -> NDArray[np.bool_]:
    """The mask of a polygon in an image of `height` x `width`."""
    canvas = np.zeros((height, width), np.uint8)
    draw_polygon(canvas, polygon, 1)
    return canvas.view(np.bool_)


def draw_polygon(canvas: NDArray[Any], polygon: FloatArray, number: int) -> None:
    """Set the pixels of `canvas` (height x width, contiguous) that a polygon covers to `number`."""
    corners = np.ascontiguousarray(polygon, np.float64).reshape(-1, 2)
    if not np.isfinite(corners).all():
        raise DataError(f"polygon: it holds {corners[~np.isfinite(corners)][0]}, expected finite numbers")
    if len(corners) >= 3:
        draw_function()(canvas, corners, number)


@cache
def draw_function() -> DrawFunction:
    """What draws three corners or more: compiled, or with NumPy where Numba is not installed."""
    if not is_installed("numba"):
        return draw_with_numpy
    from perfsuite.transforms.labels import rasterize_kernel

    compiled: DrawFunction = rasterize_kernel.draw
    return compiled


def draw_with_numpy(canvas: NDArray[Any], corners: FloatArray, number: int) -> None:
    """The same rule for whole arrays of crossings."""
    height, width = canvas.shape
    left, right = _pixel_span(corners[:, 0], width)
    top, bottom = _pixel_span(corners[:, 1], height)
    rows, columns = _crossings(corners, (left, right), (top, bottom))
    # Every crossing toggles all pixels below it. The last row takes crossings below the window.
    toggles = np.zeros((bottom - top + 1, right - left), np.uint8)
    np.add.at(toggles.reshape(-1), (rows - top) * (right - left) + (columns - left), 1)
    toggles &= 1  # a count that wraps at 256 stays odd or even
    covered = np.bitwise_xor.accumulate(toggles[:-1], axis=0).view(np.bool_)
    np.copyto(canvas[top:bottom, left:right], number, where=covered)


def _pixel_span(coordinates: FloatArray, size: int) -> tuple[int, int]:
    """The pixels whose centers lie between the least and the largest coordinate, within the image."""
    first = int(np.clip(np.ceil(coordinates.min() - 0.5), 0, size))
    last = int(np.clip(np.ceil(coordinates.max() - 0.5), 0, size))
    return first, max(first, last)


def _crossings(
    corners: FloatArray, column_span: tuple[int, int], row_span: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each edge and each column of centers that it crosses: the first row below it, and the column."""
    following = np.roll(corners, -1, axis=0)
    # From the left end to the right one, so that an edge rounds alike in both polygons that share it.
    is_rightward = (corners[:, 0] <= following[:, 0])[:, None]
    start, end = np.where(is_rightward, corners, following), np.where(is_rightward, following, corners)
    first = np.clip(np.ceil(start[:, 0] - 0.5), *column_span).astype(np.int64)
    last = np.clip(np.ceil(end[:, 0] - 0.5), *column_span).astype(np.int64)
    counts = last - first  # a vertical edge crosses no column
    edges = np.repeat(np.arange(len(corners)), counts)
    columns = np.arange(len(edges)) + np.repeat(first - np.cumsum(counts) + counts, counts)
    return _first_rows(start[edges], end[edges], columns + 0.5, row_span), columns


def _first_rows(
    start: FloatArray, end: FloatArray, x: FloatArray, row_span: tuple[int, int]
) -> NDArray[np.int64]:
    """The first row whose center lies on the edge or below it, at column position `x`."""
    run, rise = end[:, 0] - start[:, 0], end[:, 1] - start[:, 1]
    climb = (x - start[:, 0]) * rise
    rows = np.ceil(start[:, 1] + climb / run - 0.5)
    # The division rounds. The product form is exact for coordinates of up to 24 bits.
    rows += (rows + 0.5 - start[:, 1]) * run < climb
    rows -= (rows - 0.5 - start[:, 1]) * run >= climb
    return np.clip(rows, *row_span).astype(np.int64)
