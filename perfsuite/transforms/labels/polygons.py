"""Polygons: corners in order, x and y in pixels, (number, 2).

A polygon may cross itself. What it covers is decided by the even-odd rule, as in `rasterize`.
"""

from __future__ import annotations

import numpy as np

from perfsuite.transforms.arrays import FloatArray

# A polygon or box below this is a line or a point. It is dropped, and the drop is counted.
MIN_AREA_PIXELS = 1e-3
# A polygon with more corners, whose signed area is below the limit, is not searched for crossings.
_MAX_CORNERS_OF_SEARCH = 2000


def clip_polygon(polygon: FloatArray, height: int, width: int) -> FloatArray:
    """The part of a polygon that lies in the image, by Sutherland and Hodgman: one edge after the other."""
    if not len(polygon):
        return polygon
    (left, top), (right, bottom) = polygon.min(axis=0).tolist(), polygon.max(axis=0).tolist()
    edges = (
        (left < 0, 0, 0.0, 1),
        (right > width, 0, float(width), -1),
        (top < 0, 1, 0.0, 1),
        (bottom > height, 1, float(height), -1),
    )
    crossed = [edge for is_crossed, *edge in edges if is_crossed]
    if not crossed:
        return polygon
    points = polygon.tolist()
    for axis, limit, side in crossed:
        points = _clip_half_plane(points, [side * (point[axis] - limit) for point in points])
    return np.array(points).reshape(-1, 2)


def _clip_half_plane(polygon: list[list[float]], distances: list[float]) -> list[list[float]]:
    """The part at distances of 0 or more. For few points, plain numbers are faster than arrays."""
    clipped = []
    for i, (point, distance) in enumerate(zip(polygon, distances, strict=True)):
        (x, y), previous = polygon[i - 1], distances[i - 1]
        if (previous < 0) != (distance < 0):
            share = previous / (previous - distance)
            clipped.append([x + share * (point[0] - x), y + share * (point[1] - y)])
        if distance >= 0:
            clipped.append(point)
    return clipped


def polygon_area(polygon: FloatArray) -> float:
    """The area by the shoelace formula, for corners in either direction.

    >>> polygon_area(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]))
    6.0
    """
    if not len(polygon):
        return 0.0
    x, y = polygon[:, 0], polygon[:, 1]
    closing = x[-1] * y[0] - x[0] * y[-1]
    return float(abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]) + closing) / 2)


def is_degenerate(polygon: FloatArray, smallest_area: float = MIN_AREA_PIXELS) -> bool:
    """Whether a polygon covers no area, as with fewer than three different corners, or less than this.

    The shoelace formula counts the lobes of a self-crossing polygon with opposite signs, so the two of a
    figure eight cancel. It decides alone where it finds enough; otherwise the covered area is computed.

    >>> is_degenerate(np.array([[0.0, 0.0], [4.0, 4.0], [4.0, 0.0], [0.0, 4.0]]))
    False
    """
    if not len(polygon):
        return True
    area = polygon_area(polygon)
    if area > 0 and area >= smallest_area:
        return False
    may_cross_itself = 4 <= len(polygon) <= _MAX_CORNERS_OF_SEARCH
    if not may_cross_itself or np.ptp(polygon, axis=0).prod() < smallest_area:
        return True
    covered = covered_area(polygon)
    return not covered > 0 or covered < smallest_area


def covered_area(polygon: FloatArray) -> float:
    """The area that a polygon covers by the even-odd rule. The time grows with the square of its corners.

    >>> covered_area(np.array([[0.0, 0.0], [4.0, 4.0], [4.0, 0.0], [0.0, 4.0]]))
    8.0
    """
    starts, ends = polygon, np.roll(polygon, -1, axis=0)
    levels = np.unique(np.concatenate([polygon[:, 1], _crossing_heights(starts, ends)]))
    area = 0.0
    # Between neighboring levels no two edges cross, so every covered piece is a trapezoid.
    for top, bottom in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        middle = (top + bottom) / 2
        is_crossed = (starts[:, 1] <= middle) != (ends[:, 1] <= middle)
        a, b = starts[is_crossed], ends[is_crossed]
        x = np.sort(a[:, 0] + (middle - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1]))
        area += (bottom - top) * float((x[1::2] - x[::2]).sum())
    return area


def _crossing_heights(starts: FloatArray, ends: FloatArray) -> FloatArray:
    """The y of every point where two edges cross."""
    heights = [np.empty(0)]
    for start, end in zip(starts, ends, strict=True):
        direction, others = end - start, ends - starts
        cross = direction[0] * others[:, 1] - direction[1] * others[:, 0]
        offset = starts - start
        with np.errstate(divide="ignore", invalid="ignore"):  # parallel edges
            along = (offset[:, 0] * others[:, 1] - offset[:, 1] * others[:, 0]) / cross
            across = (offset[:, 0] * direction[1] - offset[:, 1] * direction[0]) / cross
        is_hit = (cross != 0) & (along > 0) & (along < 1) & (across > 0) & (across < 1)
        heights.append(start[1] + along[is_hit] * direction[1])
    return np.concatenate(heights)
