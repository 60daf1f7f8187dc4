"""Labels that follow their image through any affine map: boxes, keypoints, polygons, maps.

Coordinates are pixels from the top left corner, pixel centers at half integers, x before y. What leaves the
image is cut at its edge; what is left with no area is dropped, and what was dropped is counted.

>>> mirrored = np.array([[-1.0, 0.0, 20.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
>>> moved = transform_labels(Labels(boxes=np.array([[1.0, 2.0, 4.0, 8.0]])), mirrored, height=10, width=20)
>>> moved.labels.boxes.tolist()
[[16.0, 2.0, 19.0, 8.0]]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import DataError

Floats = NDArray[np.float64]
Matrix = NDArray[np.float64]

# A polygon or box below this is a line or a point; the loss of a label that small is counted, not hidden.
MIN_AREA_PIXELS = 1e-3


def _empty(columns: int) -> Floats:
    return np.empty((0, columns))


@dataclass(frozen=True)
class Labels:
    """What an image is labeled with. Boxes are left, top, right, bottom."""

    boxes: Floats = field(default_factory=lambda: _empty(4))
    keypoints: Floats = field(default_factory=lambda: _empty(2))
    polygons: tuple[Floats, ...] = ()

    def __post_init__(self) -> None:
        for name, values, columns in [
            ("boxes", self.boxes, 4),
            ("keypoints", self.keypoints, 2),
            *((f"polygon {i}", polygon, 2) for i, polygon in enumerate(self.polygons)),
        ]:
            if values.ndim != 2 or values.shape[1] != columns:
                raise DataError(f"labels: {name} of shape {values.shape}, expected (number, {columns})")
            if not np.isfinite(values).all():
                raise DataError(
                    f"labels: {name} holds {values[~np.isfinite(values)][0]}, expected finite numbers"
                )


@dataclass(frozen=True)
class TransformedLabels:
    """The labels afterward, which of the earlier ones they are, and how many were lost."""

    labels: Labels
    box_indices: NDArray[np.int64]
    keypoints_inside: NDArray[np.bool_]
    polygon_indices: NDArray[np.int64]
    boxes_dropped: int
    polygons_dropped: int


def transform_labels(
    labels: Labels,
    forward: Matrix,
    height: int,
    width: int,
    smallest_area: float = MIN_AREA_PIXELS,
) -> TransformedLabels:
    """Move all labels into an image of `height` and `width`.

    Keypoints are all kept, in their order, and said to be inside or not: a skeleton keeps its joints.
    """
    moved = Labels(
        transform_boxes(labels.boxes, forward),
        transform_points(labels.keypoints, forward),
        tuple(transform_points(polygon, forward) for polygon in labels.polygons),
    )
    return clip_labels(moved, height, width, smallest_area)


def clip_labels(
    moved: Labels, height: int, width: int, smallest_area: float = MIN_AREA_PIXELS
) -> TransformedLabels:
    """What of moved labels lies in an image of `height` and `width`, and how many of them do not."""
    boxes = clip_boxes(moved.boxes, height, width)
    sides = boxes[:, 2:] - boxes[:, :2]
    boxes_kept = np.flatnonzero((sides > 0).all(1) & (sides.prod(1) >= smallest_area))
    polygons = [clip_polygon(polygon, height, width) for polygon in moved.polygons]
    kept = [i for i, polygon in enumerate(polygons) if not is_degenerate(polygon, smallest_area)]
    return TransformedLabels(
        labels=Labels(boxes[boxes_kept], moved.keypoints, tuple(polygons[i] for i in kept)),
        box_indices=boxes_kept,
        keypoints_inside=points_inside(moved.keypoints, height, width),
        polygon_indices=np.array(kept, dtype=np.int64),
        boxes_dropped=len(boxes) - len(boxes_kept),
        polygons_dropped=len(polygons) - len(kept),
    )


def transform_points(points: Floats, forward: Matrix) -> Floats:
    """Each point to where the map puts it."""
    return np.asarray(points @ forward[:2, :2].T + forward[:2, 2])


def transform_boxes(boxes: Floats, forward: Matrix) -> Floats:
    """The smallest upright box around the four moved corners.

    >>> turned = np.array([[0.0, -1.0, 10.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    >>> transform_boxes(np.array([[1.0, 2.0, 4.0, 8.0]]), turned).tolist()
    [[2.0, 1.0, 8.0, 4.0]]
    """
    corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
    moved = transform_points(corners, forward)
    return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)


def clip_boxes(boxes: Floats, height: int, width: int) -> Floats:
    return np.clip(boxes, 0, np.array([width, height, width, height], dtype=float))


def points_inside(points: Floats, height: int, width: int) -> NDArray[np.bool_]:
    x, y = points[:, 0], points[:, 1]
    return np.asarray((x >= 0) & (x < width) & (y >= 0) & (y < height))


def clip_polygon(polygon: Floats, height: int, width: int) -> Floats:
    """What of a polygon lies in the image (Sutherland and Hodgman: one edge after the other)."""
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


def _clip_half_plane(polygon: list[list[float]], distance: list[float]) -> list[list[float]]:
    """In plain numbers: a few points are moved sooner than an array is made."""
    kept = []
    for i, (point, there) in enumerate(zip(polygon, distance, strict=True)):
        (x, y), here = polygon[i - 1], distance[i - 1]
        if (here < 0) != (there < 0):
            share = here / (here - there)
            kept.append([x + share * (point[0] - x), y + share * (point[1] - y)])
        if there >= 0:
            kept.append(point)
    return kept


def polygon_area(polygon: Floats) -> float:
    """By the shoelace formula, whichever way round.

    >>> polygon_area(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]))
    6.0
    """
    if not len(polygon):
        return 0.0
    x, y = polygon[:, 0], polygon[:, 1]
    closing = x[-1] * y[0] - x[0] * y[-1]
    return float(abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]) + closing) / 2)


def is_degenerate(polygon: Floats, smallest_area: float = MIN_AREA_PIXELS) -> bool:
    """No area, as of fewer than three different corners, or none to speak of."""
    covered = polygon_area(polygon)
    return not covered > 0 or covered < smallest_area


def warp_map(
    values: NDArray[np.generic], backward: Matrix, height: int, width: int, fill: float
) -> NDArray[np.generic]:
    """A map (height x width, any further dimensions) seen through the inverse of what moved the image.

    Whole numbers are classes: the pixel that a point falls into is taken, never a mixture. Floats are mixed
    bilinearly. `fill` lies outside.
    """
    x: Floats = np.arange(width, dtype=np.float64)[None, :] + 0.5
    y: Floats = np.arange(height, dtype=np.float64)[:, None] + 0.5
    from_x, from_y = _source_coordinates(backward[0], x, y), _source_coordinates(backward[1], y, x, first=1)
    if not np.issubdtype(values.dtype, np.floating):
        return _gather_pixels(values, np.floor(from_y), np.floor(from_x), fill)
    left, top = np.floor(from_x - 0.5), np.floor(from_y - 0.5)
    more = (slice(None), slice(None)) + (None,) * (values.ndim - 2)
    share_x, share_y = (from_x - 0.5 - left)[more], (from_y - 0.5 - top)[more]
    upper = (
        _gather_pixels(values, top, left, fill) * (1 - share_x)
        + _gather_pixels(values, top, left + 1, fill) * share_x
    )
    lower = (
        _gather_pixels(values, top + 1, left, fill) * (1 - share_x)
        + _gather_pixels(values, top + 1, left + 1, fill) * share_x
    )
    return np.asarray(upper * (1 - share_y) + lower * share_y, dtype=values.dtype)


def _source_coordinates(line: Floats, along: Floats, across: Floats, first: int = 0) -> Floats:
    """One coordinate of where points come from: a line of numbers where nothing is turned, else a field."""
    found = line[first] * along
    if line[1 - first] != 0:
        found = found + line[1 - first] * across
    return np.asarray(found + line[2])


def _gather_pixels(values: NDArray[Any], rows: Floats, columns: Floats, fill: float) -> NDArray[Any]:
    height, width = values.shape[:2]
    within = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    taken = values[
        np.clip(rows, 0, height - 1).astype(np.intp), np.clip(columns, 0, width - 1).astype(np.intp)
    ]
    taken[~within] = fill
    return taken
