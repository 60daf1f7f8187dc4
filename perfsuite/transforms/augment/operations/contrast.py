"""Contrast: stretch every channel about the mean gray of the image."""

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

    from perfsuite.transforms.augment.triton_arithmetic import round_to_byte


@dataclass(frozen=True, slots=True)
class Contrast(PixelOperation):
    """Stretch every channel about the mean gray of the image by a factor in [low, high)."""

    low: float
    high: float
    parameters: ClassVar = (Parameter("contrast", identity=1.0),)
    random_slots: ClassVar = RandomSlots(first=7, count=1)
    order: ClassVar = 20
    needs_mean: ClassVar = True

    def sample_parameters(self, u: Sequence[Uniform]) -> tuple[Any, ...]:
        return (scale_uniform(self.low, self.high, u[0]),)

    @staticmethod
    def apply_cpu(image: ImageArray, values: Sequence[float], fill: int, *, may_write: bool) -> ImageArray:
        import cv2

        (contrast,) = values
        red, green, blue, _ = cv2.sumElems(image)
        gray = (LUMA_WEIGHTS[0] * red + LUMA_WEIGHTS[1] * green + LUMA_WEIGHTS[2] * blue) / (
            image.shape[0] * image.shape[1]
        )
        stretched = cv2.addWeighted(image, contrast, image, 0, (1 - contrast) * gray)
        return np.asarray(stretched, dtype=np.uint8)

    @staticmethod
    def apply_torch(batch: torch.Tensor, columns: Sequence[torch.Tensor], fill: int) -> torch.Tensor:
        (contrast,) = columns
        # Whole numbers below 2**24 each: float64 sums are exact, so their order does not matter.
        means = batch.double().mean((2, 3))
        gray = (
            means[:, 0] * LUMA_WEIGHTS[0] + means[:, 1] * LUMA_WEIGHTS[1] + means[:, 2] * LUMA_WEIGHTS[2]
        ).float()
        return (batch * contrast + (1 - contrast) * gray.view(-1, 1, 1, 1)).round_().clamp_(0, 255)

    @staticmethod
    def apply_triton(red, green, blue, x, y, mean, values, fill):
        contrast = tl.load(values)
        pivot = (1 - contrast) * mean
        return (
            round_to_byte(red * contrast + pivot),
            round_to_byte(green * contrast + pivot),
            round_to_byte(blue * contrast + pivot),
        )
