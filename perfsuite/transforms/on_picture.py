"""A draw applied to one picture on the CPU: uint8, height x width x 3.

>>> picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
>>> apply(Draw(mirror=True), picture)[0, 0].tolist()
[9, 10, 11]
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.geometry import affine, erased, inverse, moves_pixels_only, size_after
from perfsuite.transforms.modes import Draw, Draws

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
    cv2 = opencv()
    if cv2 is None:
        return _by_torch(replace(drawn, brightness=1.0, contrast=1.0, saturation=1.0), picture, fill)
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
    cv2 = opencv()
    if cv2 is None:
        only_colour = Draw(brightness=drawn.brightness, contrast=drawn.contrast, saturation=drawn.saturation)
        return _by_torch(only_colour, picture, GREY)
    table = to_bytes(np.arange(256) * drawn.brightness)
    brightened = cv2.LUT(picture, table) if drawn.brightness != 1.0 else picture
    if drawn.contrast != 1.0:
        grey = float(np.dot(LUMA, cv2.mean(brightened)[:3]))
        brightened = cv2.LUT(
            brightened, to_bytes(np.arange(256) * drawn.contrast + (1 - drawn.contrast) * grey)
        )
    if drawn.saturation == 1.0:
        return np.asarray(brightened, dtype=np.uint8)
    mixed = np.eye(3) * drawn.saturation + (1 - drawn.saturation) * np.array(LUMA)
    return np.asarray(cv2.transform(brightened, mixed), dtype=np.uint8)


def to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Clamped and rounded half to even.

    >>> to_bytes(np.array([-3.0, 0.5, 1.5, 300.0])).tolist()
    [0, 0, 2, 255]
    """
    return np.asarray(np.rint(np.clip(values, 0, 255)), dtype=np.uint8)


@cache
def opencv() -> Any:
    """OpenCV where it is installed, else None: then torch does the same, more slowly."""
    try:
        return import_module("cv2")
    except ImportError:
        return None


def _by_torch(drawn: Draw, picture: Picture, fill: int) -> Picture:
    import torch

    from perfsuite.transforms.on_device import augment

    batch = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
    changed = augment(Draws.of([drawn]), batch, fill)[0].permute(1, 2, 0)
    return np.ascontiguousarray(changed.numpy())


def erase(drawn: Draw, picture: Picture, fill: int = GREY, *, may_write: bool = False) -> Picture:
    """Erasing alone; into the picture itself where that is allowed."""
    rectangle = erased(drawn, *picture.shape[:2])
    if rectangle is None:
        return picture
    top, left, bottom, right = rectangle
    changed = picture if may_write else picture.copy()
    changed[top:bottom, left:right] = fill
    return changed
