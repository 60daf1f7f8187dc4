"""A draw applied to one image on the CPU: uint8, height x width x 3.

>>> image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
>>> augment_image(Draw(mirror=True), image)[0, 0].tolist()
[9, 10, 11]
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.augment.modes import Draw, Draws
from perfsuite.transforms.geometry import (
    erase_rectangle,
    inverse_coefficients,
    is_pixel_permutation,
    output_size,
)

ImageArray = NDArray[np.uint8]
GRAY_FILL = 128
# Rec. 601, as in OpenCV and Pillow.
LUMA_WEIGHTS = (0.299, 0.587, 0.114)
_DIAGONAL_3X3 = np.diag_indices(3)


def augment_image(drawn: Draw, image: ImageArray, fill: int = GRAY_FILL) -> ImageArray:
    """The image with all that was drawn; its own memory where nothing was. `fill` is in pixel units."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"augment: image is {image.dtype} {image.shape}, expected uint8 of height x width x 3"
        )
    moved = warp_image(drawn, image, fill)
    colored = adjust_color(drawn, moved)
    return erase_image(drawn, colored, fill, may_write=colored is not image)


def warp_image(drawn: Draw, image: ImageArray, fill: int = GRAY_FILL) -> ImageArray:
    """Geometry alone."""
    if is_pixel_permutation(drawn):
        return _permute_pixels(drawn, image)
    cv2 = import_opencv()
    if cv2 is None:
        return _augment_with_torch(replace(drawn, brightness=1.0, contrast=1.0, saturation=1.0), image, fill)
    height, width = image.shape[:2]
    (xx, xy, x0), (yx, yy, y0) = inverse_coefficients(drawn, height, width)
    # OpenCV counts from pixel centers.
    by_centers = np.array([(xx, xy, x0 + (xx + xy - 1) / 2), (yx, yy, y0 + (yx + yy - 1) / 2)])
    out_height, out_width = output_size(drawn, height, width)
    # Four channels are sampled faster than three, by more than the two conversions take.
    warped = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_RGB2RGBA),
        by_centers,
        (out_width, out_height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(fill, fill, fill, fill),
    )
    return np.asarray(cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB), dtype=np.uint8)


def _permute_pixels(drawn: Draw, image: ImageArray) -> ImageArray:
    turned = np.rot90(image, drawn.quarter_turns) if drawn.quarter_turns else image
    cv2 = import_opencv()
    if cv2 is not None and drawn.mirror:
        return np.asarray(cv2.flip(np.ascontiguousarray(turned), 1), dtype=np.uint8)
    return np.ascontiguousarray(turned[:, ::-1] if drawn.mirror else turned)


def adjust_color(drawn: Draw, image: ImageArray) -> ImageArray:
    """Brightness, contrast, saturation alone."""
    if (drawn.brightness, drawn.contrast, drawn.saturation) == (1.0, 1.0, 1.0):
        return image
    cv2 = import_opencv()
    if cv2 is None:
        only_color = Draw(brightness=drawn.brightness, contrast=drawn.contrast, saturation=drawn.saturation)
        return _augment_with_torch(only_color, image, GRAY_FILL)
    # Each of these works in float and ends in bytes, clamped and rounded half to even.
    if drawn.brightness != 1.0:
        image = cv2.convertScaleAbs(image, alpha=drawn.brightness)
    if drawn.contrast != 1.0:
        red, green, blue, _ = cv2.sumElems(image)
        gray = (LUMA_WEIGHTS[0] * red + LUMA_WEIGHTS[1] * green + LUMA_WEIGHTS[2] * blue) / (
            image.shape[0] * image.shape[1]
        )
        image = cv2.addWeighted(image, drawn.contrast, image, 0, (1 - drawn.contrast) * gray)
    if drawn.saturation != 1.0:
        rest = 1 - drawn.saturation
        mixed = np.array([[rest * weight for weight in LUMA_WEIGHTS]] * 3)
        mixed[_DIAGONAL_3X3] += drawn.saturation
        image = cv2.transform(image, mixed)
    return np.asarray(image, dtype=np.uint8)


@cache
def import_opencv() -> Any:
    """OpenCV where it is installed, else None: then torch does the same, more slowly."""
    try:
        return import_module("cv2")
    except ImportError:
        return None


def _augment_with_torch(drawn: Draw, image: ImageArray, fill: int) -> ImageArray:
    import torch

    from perfsuite.transforms.augment.device import augment_batch

    batch = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    changed = augment_batch(Draws.of([drawn]), batch, fill)[0].permute(1, 2, 0)
    return np.ascontiguousarray(changed.numpy())


def erase_image(
    drawn: Draw, image: ImageArray, fill: int = GRAY_FILL, *, may_write: bool = False
) -> ImageArray:
    """Erasing alone; into the image itself where that is allowed."""
    rectangle = erase_rectangle(drawn, *image.shape[:2])
    if rectangle is None:
        return image
    top, left, bottom, right = rectangle
    changed = image if may_write else image.copy()
    changed[top:bottom, left:right] = fill
    return changed
