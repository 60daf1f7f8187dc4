"""Single operations that no mode needs but a user may: quarter turns, blur, erasing, jitter; uint8 HWC.

>>> turn(np.arange(6, dtype=np.uint8).reshape(1, 2, 3), quarter_turns=1).shape
(2, 1, 3)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import UsageError
from perfsuite.transforms import on_picture
from perfsuite.transforms.modes import Brightness, Contrast, Draw, Erase, Mode, Saturation, draw

Picture = NDArray[np.uint8]


def turn(picture: Picture, quarter_turns: int) -> Picture:
    """Counter-clockwise; moves pixels and changes none."""
    return on_picture.move(Draw(quarter_turns=quarter_turns % 4), picture)


def blur(picture: Picture, sigma: float) -> Picture:
    """A Gaussian of this deviation in pixels, cut at four; the edge is mirrored about its last pixel."""
    if sigma < 0:
        raise UsageError(f"blur: sigma {sigma}, expected 0 or more")
    if sigma == 0:
        return picture
    import cv2

    side = 2 * round(4 * sigma) + 1
    made = cv2.GaussianBlur(picture, (side, side), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(made, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Jitter:
    """Brightness, contrast and saturation within one plus or minus these; drawn for a sample of an epoch."""

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __call__(self, picture: Picture, seed: int, epoch: int, index: int) -> Picture:
        mode = Mode(
            "jitter",
            (
                Brightness(max(0.0, 1 - self.brightness), 1 + self.brightness),
                Contrast(max(0.0, 1 - self.contrast), 1 + self.contrast),
                Saturation(max(0.0, 1 - self.saturation), 1 + self.saturation),
            ),
        )
        return on_picture.colour(draw(mode, seed, epoch, index), picture)


@dataclass(frozen=True, slots=True)
class RandomErasing:
    """A rectangle becomes `fill`, for this part of the samples."""

    probability: float = 0.25
    shortest: float = 0.1
    longest: float = 0.4
    fill: int = on_picture.GREY

    def __call__(self, picture: Picture, seed: int, epoch: int, index: int) -> Picture:
        mode = Mode("erasing", (Erase(self.probability, self.shortest, self.longest),))
        return on_picture.erase(draw(mode, seed, epoch, index), picture, self.fill)
