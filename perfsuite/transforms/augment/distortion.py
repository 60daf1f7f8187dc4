"""Distortion that no single map describes: elastic and by a grid; images, points and maps follow one field.

A field says for every pixel of the answer how far away it comes from. Both kinds are named as expensive: they
sample every pixel from its own place.

>>> field = elastic_field(height=32, width=48, strength=2.0, smoothness=6.0, random=np.random.default_rng(0))
>>> field.dx.shape, bool(abs(field.dx).max() <= 2.0)
((32, 48), True)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import UsageError
from perfsuite.transforms.augment.cpu import GRAY_FILL
from perfsuite.transforms.labels.labels import Labels, TransformedLabels, clip_labels

ImageArray = NDArray[np.uint8]
Floats = NDArray[np.float64]
# Each step leaves at most this part of the error, so 60 leave a thousandth of what the field moves.
MAX_FIELD_GRADIENT = 0.9
_INVERSION_STEPS = 60
# An edge is bent with what it bounds: of so many pixels a piece is straight enough.
_MAX_SEGMENT_PIXELS = 4.0


@dataclass(frozen=True)
class DisplacementField:
    """The answer's pixel (x, y) is the image at (x + dx, y + dy)."""

    dx: Floats
    dy: Floats

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
        made = cv2.remap(
            image,
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(fill, fill, fill),
        )
        return np.asarray(made, dtype=np.uint8)

    def warp_classes(self, values: NDArray[np.integer], fill: int = 0) -> NDArray[np.integer]:
        """A distorted map of classes: the nearest pixel, never a mixture."""
        x, y = (np.rint(source).astype(np.intp) for source in self._source_coordinates())
        height, width = values.shape[:2]
        within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        made = values[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
        made[~within] = fill
        return made

    def transform_points(self, points: Floats) -> Floats:
        """Where points of the image are afterward: the field undone by fixed-point steps."""
        answer = points.astype(np.float64).copy()
        for _ in range(_INVERSION_STEPS):
            answer = points - self._sample_field(answer)
        return answer

    def transform_labels(self, labels: Labels) -> TransformedLabels:
        """All labels afterward, as `labels.follow` says it of a map; edges are bent piece by piece."""
        height, width = self.dx.shape
        corners = labels.boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
        around = [self.transform_points(_subdivide_outline(box)) for box in corners]
        boxes = [np.concatenate([edge.min(axis=0), edge.max(axis=0)]) for edge in around]
        moved = Labels(
            np.array(boxes).reshape(-1, 4),
            self.transform_points(labels.keypoints),
            tuple(self.transform_points(_subdivide_outline(polygon)) for polygon in labels.polygons),
        )
        return clip_labels(moved, height, width)

    def _source_coordinates(self) -> tuple[Floats, Floats]:
        height, width = self.dx.shape
        return np.arange(width) + self.dx, np.arange(height)[:, None] + self.dy

    def _sample_field(self, points: Floats) -> Floats:
        """The field between pixel centers, bilinear; beyond the edge as at the edge."""
        height, width = self.dx.shape
        x = np.clip(points[:, 0] - 0.5, 0, width - 1)
        y = np.clip(points[:, 1] - 0.5, 0, height - 1)
        left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
        share_x, share_y = x - left, y - top

        def between(d: Floats) -> Floats:
            upper = d[top, left] * (1 - share_x) + d[top, left + 1] * share_x
            lower = d[top + 1, left] * (1 - share_x) + d[top + 1, left + 1] * share_x
            return np.asarray(upper * (1 - share_y) + lower * share_y)

        return np.stack([between(self.dx), between(self.dy)], axis=1)


def _subdivide_outline(polygon: Floats) -> Floats:
    """The same outline with points in between, from each corner to the next."""
    if not len(polygon):
        return polygon
    pieces = []
    for corner, following in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        number = max(1, int(np.ceil(np.hypot(*(following - corner)) / _MAX_SEGMENT_PIXELS)))
        shares = np.arange(number)[:, None] / number
        pieces.append(corner + shares * (following - corner))
    return np.concatenate(pieces)


def _max_gradient(d: Floats) -> float:
    """How much a field changes from a pixel to the next, across and down together."""
    return sum(float(np.abs(np.diff(d, axis=axis)).max(initial=0)) for axis in (0, 1))


def elastic_field(
    height: int, width: int, strength: float, smoothness: float, random: np.random.Generator
) -> DisplacementField:
    """Smoothed noise: up to `strength` pixels, in waves of about `smoothness` pixels."""
    import cv2

    def smooth() -> Floats:
        noise = cv2.GaussianBlur(random.uniform(-1, 1, (height, width)), (0, 0), smoothness)
        return np.asarray(noise * (strength / max(float(np.abs(noise).max()), 1e-12)))

    _check_size(height, width)
    return DisplacementField(smooth(), smooth())


def grid_field(
    height: int, width: int, cells: int, strength: float, random: np.random.Generator
) -> DisplacementField:
    """A grid of `cells` x `cells` whose inner knots move by up to `strength` pixels; the border stays."""
    import cv2

    def bent() -> Floats:
        knots = np.zeros((cells + 1, cells + 1))
        knots[1:-1, 1:-1] = random.uniform(-strength, strength, (cells - 1, cells - 1))
        x = np.linspace(0, cells, width, dtype=np.float32)
        y = np.linspace(0, cells, height, dtype=np.float32)
        where = np.meshgrid(x, y)
        return np.asarray(
            cv2.remap(knots, where[0], where[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )

    _check_size(height, width)
    if cells < 2:
        raise UsageError(f"distort: a grid of {cells} cells, expected at least 2 (one has no inner knots)")
    return DisplacementField(bent(), bent())


def _check_size(height: int, width: int) -> None:
    if height < 2 or width < 2:
        raise UsageError(f"distort: image of {height} x {width}, expected at least 2 x 2")
