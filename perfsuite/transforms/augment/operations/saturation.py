"""Saturation: stretch the channels of every pixel about its gray."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from perfsuite.transforms.arrays import LUMA_WEIGHTS, ImageArray
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

    from perfsuite.transforms.augment.triton_arithmetic import BLUE, GREEN, RED, round_to_byte

_DIAGONAL_3X3 = np.diag_indices(3)


@dataclass(frozen=True, slots=True)
class Saturation(PixelOperation):
    """Stretch the channels of every pixel about its gray by a factor in [low, high)."""

    low: float
    high: float
    parameters: ClassVar = (Parameter("saturation", identity=1.0),)
    random_slots: ClassVar = RandomSlots(first=8, count=1)
    order: ClassVar = 30

    def sample_parameters(self, u: Sequence[Uniform]) -> tuple[Any, ...]:
        return (scale_uniform(self.low, self.high, u[0]),)

    @staticmethod
    def apply_cpu(image: ImageArray, values: Sequence[float], fill: int, *, may_write: bool) -> ImageArray:
        import cv2

        (saturation,) = values
        rest = 1 - saturation
        mixed = np.array([[rest * weight for weight in LUMA_WEIGHTS]] * 3)
        mixed[_DIAGONAL_3X3] += saturation
        return np.asarray(cv2.transform(image, mixed), dtype=np.uint8)

    @staticmethod
    def apply_torch(batch: torch.Tensor, columns: Sequence[torch.Tensor], fill: int) -> torch.Tensor:
        (saturation,) = columns
        gray = (
            batch[:, :1] * LUMA_WEIGHTS[0] + batch[:, 1:2] * LUMA_WEIGHTS[1] + batch[:, 2:] * LUMA_WEIGHTS[2]
        )
        return (batch * saturation + (1 - saturation) * gray).round_().clamp_(0, 255)

    @staticmethod
    def apply_triton(red, green, blue, x, y, mean, values, fill):
        saturation = tl.load(values)
        gray = (1 - saturation) * (red * RED + green * GREEN + blue * BLUE)
        return (
            round_to_byte(red * saturation + gray),
            round_to_byte(green * saturation + gray),
            round_to_byte(blue * saturation + gray),
        )
