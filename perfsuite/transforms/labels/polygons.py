"""Polygons: corners in order, x and y in pixels, (number, 2)."""

from __future__ import annotations

import numpy as np

from perfsuite.transforms.arrays import FloatArray

# A polygon or box below this is a line or a point. It is dropped, and the drop is counted.
MIN_AREA_PIXELS = 1e-3


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
    """Whether the area is zero, as of fewer than three different corners, or below `smallest_area`."""
    area = polygon_area(polygon)
    return not area > 0 or area < smallest_area
