"""Which part of an image becomes the square that a model sees: torchvision's laws, as pure functions.

A `CropWindow` says: take this box of the source, resize it to `full`, and keep `size` of that from `at`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Uniforms = Sequence[float] | NDArray[np.float64]
UNIFORMS_PER_CROP = 22
# As in Pillow's thumbnail: libjpeg's reduction is a plain mean, so the antialiased one gets twice the size.
REDUCING_GAP = 2.0
_MAX_ATTEMPTS = 10
_AREA_RANGE = (0.08, 1.0)
_LOG_RATIO_RANGE = (math.log(3 / 4), math.log(4 / 3))


@dataclass(frozen=True, slots=True)
class CropWindow:
    """A box of the source (left, top, width, height), its full size when resized, and the part kept of it."""

    box: tuple[int, int, int, int]
    resized_size: tuple[int, int]  # width, height
    offset: tuple[int, int]  # left, top
    size: tuple[int, int]  # width, height
    mirror: bool = False


def forward_matrix(window: CropWindow) -> NDArray[np.float64]:
    """Where a point of the source goes: both in pixels from the top left corner, pixel centers at halves.

    >>> seen = CropWindow(box=(100, 50, 200, 100), resized_size=(400, 200), offset=(30, 10), size=(224, 180))
    >>> (forward_matrix(seen) @ [101.0, 60.0, 1.0]).tolist()
    [-28.0, 10.0, 1.0]
    """
    left, top, width, height = window.box
    across, down = window.resized_size[0] / width, window.resized_size[1] / height
    x, y = -left * across - window.offset[0], -top * down - window.offset[1]
    if window.mirror:
        across, x = -across, window.size[0] - x
    return np.array([[across, 0.0, x], [0.0, down, y], [0.0, 0.0, 1.0]])


def scale_eighths(window: CropWindow) -> int:
    """In how many eighths of its size a JPEG may be decoded and still be `REDUCING_GAP` times what is shown.

    >>> seen = CropWindow(box=(0, 0, 4000, 3000), resized_size=(341, 256), offset=(58, 16), size=(224, 224))
    >>> scale_eighths(seen), scale_eighths(CropWindow((0, 0, 500, 375), (341, 256), (58, 16), (224, 224)))
    (2, 8)
    """
    reduction = min(window.box[2] / window.resized_size[0], window.box[3] / window.resized_size[1])
    return next((fewer for fewer in (1, 2, 4) if fewer / 8 * reduction >= REDUCING_GAP), 8)


def stretch_to_square(width: int, height: int, size: int) -> CropWindow:
    """Everything, stretched to the square."""
    return CropWindow((0, 0, width, height), (size, size), (0, 0), (size, size))


def center_crop(width: int, height: int, size: int) -> CropWindow:
    """Resize the shorter side to 8/7 of the size, keep the center: 256 and 224 of ImageNet's validation.

    >>> center_crop(500, 375, 224)
    CropWindow(box=(0, 0, 500, 375), resized_size=(341, 256), offset=(58, 16), size=(224, 224), mirror=False)
    """
    short = size * 8 // 7
    full = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    at = (round((full[0] - size) / 2), round((full[1] - size) / 2))
    return CropWindow((0, 0, width, height), full, at, (size, size))


def random_resized_crop(width: int, height: int, size: int, numbers: Uniforms) -> CropWindow:
    """A box of random area and shape, as RandomResizedCrop's; `numbers` are 22 uniform ones.

    >>> random_resized_crop(500, 375, 224, [0.5] * 22)
    CropWindow(box=(91, 29, 318, 318), resized_size=(224, 224), offset=(0, 0), size=(224, 224), mirror=False)
    """
    area = width * height
    across, down = numbers[20], numbers[21]
    for attempt in range(_MAX_ATTEMPTS):
        wanted = area * (_AREA_RANGE[0] + (_AREA_RANGE[1] - _AREA_RANGE[0]) * numbers[2 * attempt])
        ratio = math.exp(
            _LOG_RATIO_RANGE[0] + (_LOG_RATIO_RANGE[1] - _LOG_RATIO_RANGE[0]) * numbers[2 * attempt + 1]
        )
        w, h = round(math.sqrt(wanted * ratio)), round(math.sqrt(wanted / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(across * (width - w + 1)), int(down * (height - h + 1))
            return CropWindow((left, top, w, h), (size, size), (0, 0), (size, size))
    w, h = _nearest_shape(width, height)
    return CropWindow(((width - w) // 2, (height - h) // 2, w, h), (size, size), (0, 0), (size, size))


def _nearest_shape(width: int, height: int) -> tuple[int, int]:
    ratio = width / height
    if ratio < 3 / 4:
        return width, round(width / (3 / 4))
    if ratio > 4 / 3:
        return round(height * (4 / 3)), height
    return width, height
