"""Rotate: turn about the center by any angle."""

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
class Rotate(GeometricOperation):
    """Turn about the center by up to this many degrees to either side."""

    degrees: float
    parameters: ClassVar = (Parameter("degrees", identity=0.0),)  # counter-clockwise
    random_slots: ClassVar = RandomSlots(first=2, count=1)

    def sample_parameters(self, u: Sequence[Uniform]) -> tuple[Any, ...]:
        return (scale_uniform(-self.degrees, self.degrees, u[0]),)

    @staticmethod
    def add_to_affine(affine: AffineParameters, values: Sequence[Any]) -> None:
        affine.degrees = affine.degrees + values[0]
