"""Draw a polygon, compiled: one pass over its edges and one over the pixels, without the GIL.

The arithmetic is that of `rasterize.draw_with_numpy`, number for number. fastmath stays off, because a fused
product and sum would round differently.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from perfsuite.transforms.optional_libraries import compile_function


@compile_function
def _clip(value, low, high):
    """A whole number from `low` to `high`; `low` for NaN, which would be any index."""
    if not value > low:
        return low
    return high if value > high else int(value)


@compile_function
def _first_row(start_x, start_y, run, rise, x):
    """The first row whose center lies on the edge or below it, at column position `x`."""
    climb = (x - start_x) * rise
    row = np.ceil(start_y + climb / run - 0.5)
    # The division rounds. The product form is exact for coordinates of up to 24 bits.
    if (row + 0.5 - start_y) * run < climb:
        row += 1.0
    if (row - 0.5 - start_y) * run >= climb:
        row -= 1.0
    return row


@compile_function
def draw(canvas, corners, number):
    """Set the pixels that a polygon covers."""
    height, width = canvas.shape
    left = _clip(np.ceil(corners[:, 0].min() - 0.5), 0, width)
    right = max(left, _clip(np.ceil(corners[:, 0].max() - 0.5), 0, width))
    top = _clip(np.ceil(corners[:, 1].min() - 0.5), 0, height)
    bottom = max(top, _clip(np.ceil(corners[:, 1].max() - 0.5), 0, height))
    if left == right or top == bottom:
        return
    # Every crossing toggles all pixels below it. The last row takes crossings below the window.
    toggles = np.zeros((bottom - top + 1, right - left), np.uint8)
    for index in range(len(corners)):
        following = index + 1 if index + 1 < len(corners) else 0
        # From the left end to the right one, so that an edge rounds alike in both polygons that share it.
        if corners[index, 0] > corners[following, 0]:
            start_x, start_y = corners[following, 0], corners[following, 1]
            end_x, end_y = corners[index, 0], corners[index, 1]
        else:
            start_x, start_y = corners[index, 0], corners[index, 1]
            end_x, end_y = corners[following, 0], corners[following, 1]
        run, rise = end_x - start_x, end_y - start_y
        first = _clip(np.ceil(start_x - 0.5), left, right)
        last = _clip(np.ceil(end_x - 0.5), left, right)
        for column in range(first, last):  # a vertical edge crosses no column
            row = _first_row(start_x, start_y, run, rise, column + 0.5)
            toggles[_clip(row, top, bottom) - top, column - left] ^= 1
    for row in range(bottom - top):
        for column in range(right - left):
            if row > 0:
                toggles[row, column] ^= toggles[row - 1, column]
            if toggles[row, column]:
                canvas[top + row, left + column] = number
