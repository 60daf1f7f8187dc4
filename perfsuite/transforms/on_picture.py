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

from perfsuite.transforms.geometry import backward, erased, moves_pixels_only, size_after
from perfsuite.transforms.modes import Draw, Draws

Picture = NDArray[np.uint8]
GREY = 128
# Rec. 601, as in OpenCV and Pillow.
LUMA = (0.299, 0.587, 0.114)
_DIAGONAL = np.diag_indices(3)


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
        return _moved_pixels(drawn, picture)
    cv2 = opencv()
    if cv2 is None:
        return _by_torch(replace(drawn, brightness=1.0, contrast=1.0, saturation=1.0), picture, fill)
    height, width = picture.shape[:2]
    (xx, xy, x0), (yx, yy, y0) = backward(drawn, height, width)
    # OpenCV counts from pixel centres.
    by_centres = np.array([(xx, xy, x0 + (xx + xy - 1) / 2), (yx, yy, y0 + (yx + yy - 1) / 2)])
    out_height, out_width = size_after(drawn, height, width)
    # Four channels are sampled faster than three, by more than the two conversions take.
    warped = cv2.warpAffine(
        cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA),
        by_centres,
        (out_width, out_height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(fill, fill, fill, fill),
    )
    return np.asarray(cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB), dtype=np.uint8)


def _moved_pixels(drawn: Draw, picture: Picture) -> Picture:
    turned = np.rot90(picture, drawn.quarter_turns) if drawn.quarter_turns else picture
    cv2 = opencv()
    if cv2 is not None and drawn.mirror:
        return np.asarray(cv2.flip(np.ascontiguousarray(turned), 1), dtype=np.uint8)
    return np.ascontiguousarray(turned[:, ::-1] if drawn.mirror else turned)


def colour(drawn: Draw, picture: Picture) -> Picture:
    """Brightness, contrast, saturation alone."""
    if (drawn.brightness, drawn.contrast, drawn.saturation) == (1.0, 1.0, 1.0):
        return picture
    cv2 = opencv()
    if cv2 is None:
        only_colour = Draw(brightness=drawn.brightness, contrast=drawn.contrast, saturation=drawn.saturation)
        return _by_torch(only_colour, picture, GREY)
    # Each of these works in float and ends in bytes, clamped and rounded half to even.
    if drawn.brightness != 1.0:
        picture = cv2.convertScaleAbs(picture, alpha=drawn.brightness)
    if drawn.contrast != 1.0:
        red, green, blue, _ = cv2.sumElems(picture)
        grey = (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue) / (picture.shape[0] * picture.shape[1])
        picture = cv2.addWeighted(picture, drawn.contrast, picture, 0, (1 - drawn.contrast) * grey)
    if drawn.saturation != 1.0:
        rest = 1 - drawn.saturation
        mixed = np.array([[rest * weight for weight in LUMA]] * 3)
        mixed[_DIAGONAL] += drawn.saturation
        picture = cv2.transform(picture, mixed)
    return np.asarray(picture, dtype=np.uint8)


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
