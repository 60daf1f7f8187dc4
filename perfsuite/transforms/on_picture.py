"""A draw applied to one picture on the CPU: uint8, height x width x 3.

>>> picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
>>> apply(Draw(mirror=True), picture)[0, 0].tolist()
[9, 10, 11]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.geometry import affine, erased, inverse, moves_pixels_only, size_after
from perfsuite.transforms.modes import Draw

Picture = NDArray[np.uint8]
GREY = 128
# Rec. 601, as in OpenCV and Pillow.
LUMA = (0.299, 0.587, 0.114)


def apply(drawn: Draw, picture: Picture, fill: int = GREY) -> Picture:
    """The picture with all that was drawn; its own memory where nothing was. `fill` is in pixel units."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(
            f"augment: picture is {picture.dtype} {picture.shape}, expected uint8 of height x width x 3"
        )
    moved = move(drawn, picture, fill)
    coloured = colour(drawn, moved)
    return erase(drawn, coloured, fill, may_write=coloured is not picture)


def move(drawn: Draw, picture: Picture, fill: int = GREY) -> Picture:
    """Geometry alone."""
    if moves_pixels_only(drawn):
        turned = np.rot90(picture, drawn.quarter_turns) if drawn.quarter_turns else picture
        return np.ascontiguousarray(turned[:, ::-1] if drawn.mirror else turned)
    import cv2

    height, width = picture.shape[:2]
    backward = inverse(affine(drawn, height, width))
    # OpenCV counts from pixel centres.
    backward[:2, 2] += backward[:2, :2] @ (0.5, 0.5) - 0.5
    out_height, out_width = size_after(drawn, height, width)
    warped = cv2.warpAffine(
        picture,
        backward[:2],
        (out_width, out_height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(fill, fill, fill),
    )
    return np.asarray(warped, dtype=np.uint8)


def colour(drawn: Draw, picture: Picture) -> Picture:
    """Brightness, contrast, saturation alone."""
    if (drawn.brightness, drawn.contrast, drawn.saturation) == (1.0, 1.0, 1.0):
        return picture
    values = np.clip(np.arange(256, dtype=np.float32) * np.float32(drawn.brightness), 0, 255)
    if drawn.contrast != 1.0:
        means = [values[picture[..., channel]].mean(dtype=np.float64) for channel in range(3)]
        grey = float(np.dot(LUMA, means))
        values = np.clip(values * drawn.contrast + (1 - drawn.contrast) * grey, 0, 255).astype(np.float32)
    if drawn.saturation == 1.0:
        return np.asarray(np.rint(values).astype(np.uint8)[picture])
    changed = values[picture]
    grey_of_pixel = changed @ np.array(LUMA, dtype=np.float32)
    changed = (
        changed * np.float32(drawn.saturation) + np.float32(1 - drawn.saturation) * grey_of_pixel[..., None]
    )
    return np.asarray(np.rint(np.clip(changed, 0, 255)), dtype=np.uint8)


def erase(drawn: Draw, picture: Picture, fill: int = GREY, *, may_write: bool = False) -> Picture:
    """Erasing alone; into the picture itself where that is allowed."""
    rectangle = erased(drawn, *picture.shape[:2])
    if rectangle is None:
        return picture
    top, left, bottom, right = rectangle
    changed = picture if may_write else picture.copy()
    changed[top:bottom, left:right] = fill
    return changed
