"""Brightness: multiply every channel."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from perfsuite.transforms.arrays import ImageArray
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
class Brightness(PixelOperation):
    """Multiply every channel by a factor in [low, high)."""

    low: float
    high: float
    parameters: ClassVar = (Parameter("brightness", identity=1.0),)
    random_slots: ClassVar = RandomSlots(first=6, count=1)
    order: ClassVar = 10

    def sample_parameters(self, u: Sequence[Uniform]) -> tuple[Any, ...]:
        return (scale_uniform(self.low, self.high, u[0]),)

    @staticmethod
    def apply_cpu(image: ImageArray, values: Sequence[float], fill: int, *, may_write: bool) -> ImageArray:
        import cv2

        # Computed in float, then clamped and rounded half to even.
        return np.asarray(cv2.convertScaleAbs(image, alpha=values[0]), dtype=np.uint8)

    @staticmethod
    def apply_torch(batch: torch.Tensor, columns: Sequence[torch.Tensor], fill: int) -> torch.Tensor:
        return (batch * columns[0]).round_().clamp_(0, 255)

    @staticmethod
    def apply_triton(red, green, blue, x, y, mean, values, fill):
        factor = tl.load(values)
        return round_to_byte(red * factor), round_to_byte(green * factor), round_to_byte(blue * factor)
