"""Zoom: enlarge or shrink about the center."""

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
class Zoom(GeometricOperation):
    """Enlarge about the center by a factor in [low, high); above 1 shows less of the image."""

    low: float
    high: float
    parameters: ClassVar = (Parameter("zoom", identity=1.0),)
    random_slots: ClassVar = RandomSlots(first=3, count=1)

    def sample_parameters(self, u: Sequence[Uniform]) -> tuple[Any, ...]:
        return (scale_uniform(self.low, self.high, u[0]),)

    @staticmethod
    def add_to_affine(affine: AffineParameters, values: Sequence[Any]) -> None:
        affine.zoom = affine.zoom * values[0]
