"""Letterboxing: fit a whole image into a frame with its proportions, centered on gray.

>>> Letterbox(height=10, width=10).place(height=20, width=40)
LetterboxPlacement(height=5, width=10, top=2, left=0, scale_x=0.25, scale_y=0.25)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from perfsuite.errors import UsageError
from perfsuite.transforms.arrays import GRAY_FILL, ImageArray, Matrix

ResizeFilter = Literal["lanczos", "bilinear"]


@dataclass(frozen=True, slots=True)
class LetterboxPlacement:
    """Where the resized image lies in the frame, in pixels."""

    height: int
    width: int
    top: int
    left: int
    scale_x: float
    scale_y: float

    @property
    def forward(self) -> Matrix:
        """The map from the image's pixels to the frame's."""
        return np.array([[self.scale_x, 0.0, self.left], [0.0, self.scale_y, self.top], [0.0, 0.0, 1.0]])

    @property
    def backward(self) -> Matrix:
        """The map from the frame's pixels to the image's, for boxes that a network predicts in the frame."""
        return np.array(
            [
                [1 / self.scale_x, 0.0, -self.left / self.scale_x],
                [0.0, 1 / self.scale_y, -self.top / self.scale_y],
                [0.0, 0.0, 1.0],
            ]
        )


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A frame. "lanczos" is Pillow's filter, with antialiasing; "bilinear" is OpenCV's, without."""

    height: int
    width: int
    fill: int = GRAY_FILL
    filter: ResizeFilter = "lanczos"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise UsageError(f"letterbox: frame of {self.height} x {self.width}, expected at least 1 x 1")
        if not 0 <= self.fill <= 255:
            raise UsageError(f"letterbox: fill {self.fill}, expected 0..255")

    def place(self, height: int, width: int) -> LetterboxPlacement:
        """The largest size that fits, centered; an odd remaining pixel goes below or to the right."""
        if height < 1 or width < 1:
            raise ValueError(f"letterbox: image of {height} x {width}, expected at least 1 x 1")
        scale = min(self.height / height, self.width / width)
        new_height = max(1, min(self.height, _round_half_even(height * scale)))
        new_width = max(1, min(self.width, _round_half_even(width * scale)))
        return LetterboxPlacement(
            height=new_height,
            width=new_width,
            top=(self.height - new_height) // 2,
            left=(self.width - new_width) // 2,
            scale_x=new_width / width,
            scale_y=new_height / height,
        )

    def __call__(self, image: ImageArray) -> tuple[ImageArray, LetterboxPlacement]:
        """The frame with the image in it (height x width, or with channels), and where the image lies."""
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise ValueError(
                f"letterbox: image is {image.dtype} {image.shape}, expected uint8 of 2 or 3 dimensions"
            )
        placement = self.place(image.shape[0], image.shape[1])
        frame = np.full((self.height, self.width, *image.shape[2:]), self.fill, dtype=np.uint8)
        rows = slice(placement.top, placement.top + placement.height)
        columns = slice(placement.left, placement.left + placement.width)
        frame[rows, columns] = _resize(image, placement.height, placement.width, self.filter)
        return frame, placement


def _round_half_even(value: float) -> int:
    """Round half to even, ignoring float error: 149.99999999 and 150.00000001 are both 150."""
    return round(round(value, 6))


def _resize(image: ImageArray, height: int, width: int, filter_: ResizeFilter) -> ImageArray:
    if image.shape[:2] == (height, width):
        return image
    if filter_ == "bilinear":
        import cv2

        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, dtype=np.uint8).reshape(height, width, *image.shape[2:])
    from PIL import Image

    if image.ndim == 3 and image.shape[2] not in (3, 4):
        planes = [_resize(image[..., c], height, width, filter_) for c in range(image.shape[2])]
        return np.stack(planes, axis=2)
    original = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(original.resize((width, height), Image.Resampling.LANCZOS))
