"""Erase: fill a rectangle."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from perfsuite.transforms.arrays import FloatArray, ImageArray
from perfsuite.transforms.augment.operations.base import (
    Parameter,
    PixelOperation,
    RandomSlots,
    Uniform,
    scale_uniform,
)

if TYPE_CHECKING:
    import torch
    import triton.language as tl


@dataclass(frozen=True, slots=True)
class Erase(PixelOperation):
    """Fill a rectangle that lies wholly inside; each side is a fraction of the image's side."""

    probability: float = 0.25
    min_side_fraction: float = 0.1
    max_side_fraction: float = 0.4
    parameters: ClassVar = (
        Parameter("erase_top", identity=0.0),  # in heights
        Parameter("erase_left", identity=0.0),  # in widths
        Parameter("erase_height", identity=0.0),
        Parameter("erase_width", identity=0.0),
    )
    random_slots: ClassVar = RandomSlots(first=11, count=5)
    order: ClassVar = 40

    def sample_parameters(self, u: Sequence[Uniform]) -> tuple[Any, ...]:
        happens = u[0] < self.probability
        height = happens * scale_uniform(self.min_side_fraction, self.max_side_fraction, u[1])
        width = happens * scale_uniform(self.min_side_fraction, self.max_side_fraction, u[2])
        return (happens * (u[3] * (1 - height)), happens * (u[4] * (1 - width)), height, width)

    @staticmethod
    def apply_cpu(image: ImageArray, values: Sequence[float], fill: int, *, may_write: bool) -> ImageArray:
        rectangle = erase_rectangle(values, *image.shape[:2])
        if rectangle is None:
            return image
        top, left, bottom, right = rectangle
        erased = image if may_write else image.copy()
        erased[top:bottom, left:right] = fill
        return erased

    @staticmethod
    def device_parameters(values: FloatArray, height: int, width: int) -> FloatArray:
        """Top, left, bottom and right in whole pixels; an empty rectangle erases nothing."""
        top, left = values[:, 0], values[:, 1]
        bottom, right = top + values[:, 2], left + values[:, 3]
        return np.rint(np.stack([top * height, left * width, bottom * height, right * width], axis=1))

    @staticmethod
    def apply_torch(batch: torch.Tensor, columns: Sequence[torch.Tensor], fill: int) -> torch.Tensor:
        import torch

        h, w = batch.shape[2:]
        y = torch.arange(h, device=batch.device).view(1, 1, h, 1)
        x = torch.arange(w, device=batch.device).view(1, 1, 1, w)
        top, left, bottom, right = columns
        inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
        return torch.where(inside, fill, batch)

    @staticmethod
    def apply_triton(red, green, blue, x, y, mean, values, fill):
        inside = (y >= tl.load(values)) & (x >= tl.load(values + 1))
        inside &= (y < tl.load(values + 2)) & (x < tl.load(values + 3))
        return tl.where(inside, fill, red), tl.where(inside, fill, green), tl.where(inside, fill, blue)


def erase_rectangle(values: Sequence[float], height: int, width: int) -> tuple[int, int, int, int] | None:
    """Top, left, bottom, right of the rectangle in whole pixels; None where it is empty.

    >>> erase_rectangle((0.1, 0.0, 0.5, 0.25), height=10, width=20)
    (1, 0, 6, 5)
    """
    erase_top, erase_left, erase_height, erase_width = values
    top, left = round(erase_top * height), round(erase_left * width)
    bottom, right = round((erase_top + erase_height) * height), round((erase_left + erase_width) * width)
    return (top, left, bottom, right) if bottom > top and right > left else None
