"""Single operations that no mode needs but a user may: quarter turns, blur, erasing, jitter; uint8 HWC.

>>> quarter_turn(np.arange(6, dtype=np.uint8).reshape(1, 2, 3), quarter_turns=1).shape
(2, 1, 3)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import UsageError
from perfsuite.transforms.augment import cpu
from perfsuite.transforms.augment.modes import (
    AugmentationMode,
    Brightness,
    Contrast,
    Draw,
    Erase,
    Saturation,
    draw,
)

ImageArray = NDArray[np.uint8]


def quarter_turn(image: ImageArray, quarter_turns: int) -> ImageArray:
    """Counter-clockwise; moves pixels and changes none."""
    return cpu.warp_image(Draw(quarter_turns=quarter_turns % 4), image)


def blur(image: ImageArray, sigma: float) -> ImageArray:
    """A Gaussian of this deviation in pixels, cut at four; the edge is mirrored about its last pixel."""
    if sigma < 0:
        raise UsageError(f"blur: sigma {sigma}, expected 0 or more")
    if sigma == 0:
        return image
    import cv2

    side = 2 * round(4 * sigma) + 1
    made = cv2.GaussianBlur(image, (side, side), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(made, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class ColorJitter:
    """Brightness, contrast and saturation within one plus or minus these; drawn for a sample of an epoch."""

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __call__(self, image: ImageArray, seed: int, epoch: int, index: int) -> ImageArray:
        mode = AugmentationMode(
            "jitter",
            (
                Brightness(max(0.0, 1 - self.brightness), 1 + self.brightness),
                Contrast(max(0.0, 1 - self.contrast), 1 + self.contrast),
                Saturation(max(0.0, 1 - self.saturation), 1 + self.saturation),
            ),
        )
        return cpu.adjust_color(draw(mode, seed, epoch, index), image)


@dataclass(frozen=True, slots=True)
class RandomErasing:
    """A rectangle becomes `fill`, for this part of the samples."""

    probability: float = 0.25
    min_side_fraction: float = 0.1
    max_side_fraction: float = 0.4
    fill: int = cpu.GRAY_FILL

    def __call__(self, image: ImageArray, seed: int, epoch: int, index: int) -> ImageArray:
        mode = AugmentationMode(
            "erasing", (Erase(self.probability, self.min_side_fraction, self.max_side_fraction),)
        )
        return cpu.erase_image(draw(mode, seed, epoch, index), image, self.fill)
