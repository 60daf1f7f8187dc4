"""Crops of an image as pure functions: which part of it becomes the square that a model gets.

The parameters are those of torchvision's RandomResizedCrop, Resize and CenterCrop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.arrays import Matrix

Uniforms = Sequence[float] | NDArray[np.float64]
ImageSize = tuple[int, int]  # width and height of the stored image
# Two for each of 10 attempts (area and aspect ratio), then two for the position.
UNIFORMS_PER_CROP = 22
# As in Pillow's thumbnail: libjpeg reduces by a plain mean, so the antialiased resize gets twice the size.
REDUCING_GAP = 2.0
_MAX_ATTEMPTS = 10
_AREA_RANGE = (0.08, 1.0)
_LOG_RATIO_RANGE = (math.log(3 / 4), math.log(4 / 3))


@dataclass(frozen=True, slots=True)
class CropWindow:
    """Crop `box` from the source, resize it to `resized_size`, and cut `size` out of that at `offset`."""

    box: tuple[int, int, int, int]  # left, top, width, height
    resized_size: tuple[int, int]  # width, height
    offset: tuple[int, int]  # left, top
    size: tuple[int, int]  # width, height
    mirror: bool = False


def forward_matrix(window: CropWindow) -> NDArray[np.float64]:
    """The 3 x 3 matrix from a point of the source to the crop, in pixels; pixel centers are at halves.

    >>> crop = CropWindow(box=(100, 50, 200, 100), resized_size=(400, 200), offset=(30, 10), size=(224, 180))
    >>> (forward_matrix(crop) @ [101.0, 60.0, 1.0]).tolist()
    [-28.0, 10.0, 1.0]
    """
    left, top, width, height = window.box
    scale_x, scale_y = window.resized_size[0] / width, window.resized_size[1] / height
    x, y = -left * scale_x - window.offset[0], -top * scale_y - window.offset[1]
    if window.mirror:
        scale_x, x = -scale_x, window.size[0] - x
    return np.array([[scale_x, 0.0, x], [0.0, scale_y, y], [0.0, 0.0, 1.0]])


@dataclass(frozen=True, slots=True)
class CropGeometry:
    """The crop of an image: a window of the image itself, or of its cached copy of another size."""

    original_size: ImageSize
    window: CropWindow
    cached_size: ImageSize | None = None

    @property
    def forward(self) -> Matrix:
        """The 3 x 3 matrix from a point of the image to the crop."""
        forward = forward_matrix(self.window)
        if self.cached_size is None:
            return forward
        return forward @ np.diag(
            (self.cached_size[0] / self.original_size[0], self.cached_size[1] / self.original_size[1], 1.0)
        )


def scale_eighths(window: CropWindow) -> int:
    """The scale in eighths (1, 2, 4 or 8) at which libjpeg may decode a JPEG for this window.

    The smallest that is still `REDUCING_GAP` times the size after the resize.

    >>> window = CropWindow(box=(0, 0, 4000, 3000), resized_size=(341, 256), offset=(58, 16), size=(224, 224))
    >>> scale_eighths(window), scale_eighths(CropWindow((0, 0, 500, 375), (341, 256), (58, 16), (224, 224)))
    (2, 8)
    """
    reduction = min(window.box[2] / window.resized_size[0], window.box[3] / window.resized_size[1])
    return next((eighths for eighths in (1, 2, 4) if eighths / 8 * reduction >= REDUCING_GAP), 8)


def stretch_to_square(width: int, height: int, size: int) -> CropWindow:
    """The whole image, stretched to the square."""
    return CropWindow((0, 0, width, height), (size, size), (0, 0), (size, size))


def center_crop(width: int, height: int, size: int) -> CropWindow:
    """Resize the shorter side to 8/7 of the size and crop the center, as 256 and 224 for ImageNet.

    >>> center_crop(500, 375, 224)
    CropWindow(box=(0, 0, 500, 375), resized_size=(341, 256), offset=(58, 16), size=(224, 224), mirror=False)
    """
    short = size * 8 // 7
    resized = (
        (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    )
    offset = (round((resized[0] - size) / 2), round((resized[1] - size) / 2))
    return CropWindow((0, 0, width, height), resized, offset, (size, size))


def random_resized_crop(width: int, height: int, size: int, uniforms: Uniforms) -> CropWindow:
    """A box of random area and aspect ratio, from `UNIFORMS_PER_CROP` uniform numbers.

    >>> random_resized_crop(500, 375, 224, [0.5] * 22)
    CropWindow(box=(91, 29, 318, 318), resized_size=(224, 224), offset=(0, 0), size=(224, 224), mirror=False)
    """
    area = width * height
    position_x, position_y = uniforms[20], uniforms[21]
    for attempt in range(_MAX_ATTEMPTS):
        box_area = area * (_AREA_RANGE[0] + (_AREA_RANGE[1] - _AREA_RANGE[0]) * uniforms[2 * attempt])
        ratio = math.exp(
            _LOG_RATIO_RANGE[0] + (_LOG_RATIO_RANGE[1] - _LOG_RATIO_RANGE[0]) * uniforms[2 * attempt + 1]
        )
        w, h = round(math.sqrt(box_area * ratio)), round(math.sqrt(box_area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(position_x * (width - w + 1)), int(position_y * (height - h + 1))
            return CropWindow((left, top, w, h), (size, size), (0, 0), (size, size))
    w, h = _largest_allowed_box(width, height)
    return CropWindow(((width - w) // 2, (height - h) // 2, w, h), (size, size), (0, 0), (size, size))


def _largest_allowed_box(width: int, height: int) -> tuple[int, int]:
    """The largest box of an aspect ratio from 3/4 to 4/3."""
    ratio = width / height
    if ratio < 3 / 4:
        return width, round(width / (3 / 4))
    if ratio > 4 / 3:
        return round(height * (4 / 3)), height
    return width, height
