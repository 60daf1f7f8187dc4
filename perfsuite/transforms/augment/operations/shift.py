"""Shift: move the image within its frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfsuite.transforms.augment.affine import AffineParameters
from perfsuite.transforms.augment.operations.base import (
    GeometricOperation,
    Parameter,
    RandomSlots,
    Uniform,
    scale_uniform,
)


@dataclass(frozen=True, slots=True)
class Shift(GeometricOperation):
    """Move by up to this fraction of the width and of the height, in either direction."""

    max_fraction: float
    # In widths to the right, in heights down.
    parameters: ClassVar = (Parameter("shift_x", identity=0.0), Parameter("shift_y", identity=0.0))
    random_slots: ClassVar = RandomSlots(first=4, count=2)

    def sample_parameters(self, u: Sequence[Uniform]) -> tuple[Any, ...]:
        return (
            scale_uniform(-self.max_fraction, self.max_fraction, u[0]),
            scale_uniform(-self.max_fraction, self.max_fraction, u[1]),
        )

    @staticmethod
    def add_to_affine(affine: AffineParameters, values: Sequence[Any]) -> None:
        affine.shift_x = affine.shift_x + values[0]
        affine.shift_y = affine.shift_y + values[1]
