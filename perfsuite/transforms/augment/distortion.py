"""Elastic and grid distortion of images, points and maps by a displacement field.

A field holds, for every output pixel, the displacement of its source. Both kinds are expensive: they create a
field for each image and sample every pixel from a place of its own.

>>> field = elastic_field(height=32, width=48, strength=2.0, smoothness=6.0, random=np.random.default_rng(0))
>>> field.dx.shape, bool(abs(field.dx).max() <= 2.0)
((32, 48), True)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import UsageError
from perfsuite.transforms.arrays import GRAY_FILL, FloatArray, ImageArray
from perfsuite.transforms.labels.boxes import box_corners
from perfsuite.transforms.labels.labels import Labels, TransformedLabels, clip_labels

# A step of the inversion leaves at most this fraction of the error: 60 steps leave 1/500 of it.
MAX_FIELD_GRADIENT = 0.9
_INVERSION_STEPS = 60
# Edges bend with the image. A piece of this many pixels is straight enough.
_MAX_SEGMENT_PIXELS = 4.0


@dataclass(frozen=True)
class DisplacementField:
    """The output pixel (x, y) is the input at (x + dx, y + dy)."""

    dx: FloatArray
    dy: FloatArray

    def __post_init__(self) -> None:
        steepest = max(_max_gradient(self.dx), _max_gradient(self.dy))
        if steepest >= MAX_FIELD_GRADIENT:
            raise UsageError(
                f"distort: neighboring pixels move apart by {steepest:.2f} pixels, expected below "
                f"{MAX_FIELD_GRADIENT}; the image would fold over itself: lower the strength "
                "or raise the smoothness"
            )

    def image(self, image: ImageArray, fill: int = GRAY_FILL) -> ImageArray:
        """The distorted image, bilinear."""
        import cv2

        x, y = self._source_coordinates()
        warped = cv2.remap(
            image,
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(fill, fill, fill),
        )
        return np.asarray(warped, dtype=np.uint8)

    def warp_classes(self, values: NDArray[np.integer], fill: int = 0) -> NDArray[np.integer]:
        """The distorted map of classes: the nearest pixel, never a mixture."""
        x, y = (np.rint(source).astype(np.intp) for source in self._source_coordinates())
        height, width = values.shape[:2]
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        warped = values[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
        warped[~inside] = fill
        return warped

    def transform_points(self, points: FloatArray) -> FloatArray:
        """Where points of the image move to: the inverse of the field, by fixed-point iteration."""
        moved = points.astype(np.float64).copy()
        for _ in range(_INVERSION_STEPS):
            moved = points - self._sample_field(moved)
        return moved

    def transform_labels(self, labels: Labels) -> TransformedLabels:
        """The distorted labels, as `labels.transform_labels` maps them; edges bend piece by piece."""
        height, width = self.dx.shape
        outlines = [self.transform_points(_subdivide_outline(box)) for box in box_corners(labels.boxes)]
        boxes = [np.concatenate([outline.min(axis=0), outline.max(axis=0)]) for outline in outlines]
        moved = Labels(
            np.array(boxes).reshape(-1, 4),
            self.transform_points(labels.keypoints),
            tuple(self.transform_points(_subdivide_outline(polygon)) for polygon in labels.polygons),
            labels.flip_order,
        )
        return clip_labels(moved, height, width)

    def _source_coordinates(self) -> tuple[FloatArray, FloatArray]:
        height, width = self.dx.shape
        return np.arange(width) + self.dx, np.arange(height)[:, None] + self.dy

    def _sample_field(self, points: FloatArray) -> FloatArray:
        """The field between pixel centers, bilinear; beyond the edge, its value at the edge."""
        height, width = self.dx.shape
        x = np.clip(points[:, 0] - 0.5, 0, width - 1)
        y = np.clip(points[:, 1] - 0.5, 0, height - 1)
        left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
        share_x, share_y = x - left, y - top

        def interpolate(d: FloatArray) -> FloatArray:
            upper = d[top, left] * (1 - share_x) + d[top, left + 1] * share_x
            lower = d[top + 1, left] * (1 - share_x) + d[top + 1, left + 1] * share_x
            return np.asarray(upper * (1 - share_y) + lower * share_y)

        return np.stack([interpolate(self.dx), interpolate(self.dy)], axis=1)


def _subdivide_outline(polygon: FloatArray) -> FloatArray:
    """The same outline with additional points between its corners."""
    if not len(polygon):
        return polygon
    pieces = []
    for corner, next_corner in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        count = max(1, int(np.ceil(np.hypot(*(next_corner - corner)) / _MAX_SEGMENT_PIXELS)))
        shares = np.arange(count)[:, None] / count
        pieces.append(corner + shares * (next_corner - corner))
    return np.concatenate(pieces)


def _max_gradient(d: FloatArray) -> float:
    """The largest change of a field from a pixel to the next, across plus down."""
    return sum(float(np.abs(np.diff(d, axis=axis)).max(initial=0)) for axis in (0, 1))


def elastic_field(
    height: int, width: int, strength: float, smoothness: float, random: np.random.Generator
) -> DisplacementField:
    """Smoothed noise: displacements of up to `strength` pixels, in waves of about `smoothness` pixels."""
    import cv2

    def smooth() -> FloatArray:
        noise = cv2.GaussianBlur(random.uniform(-1, 1, (height, width)), (0, 0), smoothness)
        return np.asarray(noise * (strength / max(float(np.abs(noise).max()), 1e-12)))

    _check_size(height, width)
    return DisplacementField(smooth(), smooth())


def grid_field(
    height: int, width: int, cells: int, strength: float, random: np.random.Generator
) -> DisplacementField:
    """A grid of `cells` x `cells` whose inner knots move by up to `strength` pixels; the border is fixed."""
    import cv2

    def interpolate_knots() -> FloatArray:
        knots = np.zeros((cells + 1, cells + 1))
        knots[1:-1, 1:-1] = random.uniform(-strength, strength, (cells - 1, cells - 1))
        x = np.linspace(0, cells, width, dtype=np.float32)
        y = np.linspace(0, cells, height, dtype=np.float32)
        columns, rows = np.meshgrid(x, y)
        return np.asarray(cv2.remap(knots, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    _check_size(height, width)
    if cells < 2:
        raise UsageError(f"distort: a grid of {cells} cells, expected at least 2 (one has no inner knots)")
    return DisplacementField(interpolate_knots(), interpolate_knots())


def _check_size(height: int, width: int) -> None:
    if height < 2 or width < 2:
        raise UsageError(f"distort: image of {height} x {width}, expected at least 2 x 2")
