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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class MaskWindow:
    """The part of a mask that a polygon can cover; nothing beyond it is covered."""

    top: int
    left: int
    mask: NDArray[np.bool_]

    def select(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """The view of a whole map that this window covers."""
        height, width = self.mask.shape
        return values[self.top : self.top + height, self.left : self.left + width]


def polygon_mask(polygon: FloatArray, height: int, width: int) -> NDArray[np.bool_]:
    """The mask of a polygon in an image of `height` x `width`."""
    whole = np.zeros((height, width), np.bool_)
    window = polygon_window(polygon, height, width)
    window.select(whole)[:] = window.mask
    return whole


def polygon_window(polygon: FloatArray, height: int, width: int) -> MaskWindow:
    """The mask of a polygon, cut to the pixels that it may cover."""
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    if len(corners) < 3:
        return MaskWindow(0, 0, np.zeros((0, 0), np.bool_))
    left, right = _pixel_span(corners[:, 0], width)
    top, bottom = _pixel_span(corners[:, 1], height)
    rows, columns = _crossings(corners, (left, right), (top, bottom))
    # Every crossing toggles all pixels below it. The last row takes crossings below the window.
    height, width = bottom - top + 1, right - left
    crossings = np.bincount((rows - top) * width + (columns - left), minlength=height * width)
    toggles = crossings.reshape(height, width)[:-1].astype(np.uint8) & 1
    return MaskWindow(top, left, np.bitwise_xor.accumulate(toggles, axis=0).view(np.bool_))


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
