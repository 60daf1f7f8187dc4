"""Mirror: exchange left and right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfsuite.transforms.augment.affine import AffineParameters
from perfsuite.transforms.augment.operations.base import GeometricOperation, Parameter, RandomSlots, Uniform


@dataclass(frozen=True, slots=True)
class Mirror(GeometricOperation):
    """Exchange left and right with this probability."""

    probability: float = 0.5
    parameters: ClassVar = (Parameter("mirror", identity=0.0),)  # 0 or 1
    random_slots: ClassVar = RandomSlots(first=0, count=1)

    def sample_parameters(self, u: Sequence[Uniform]) -> tuple[Any, ...]:
        return (u[0] < self.probability,)

    @staticmethod
    def add_to_affine(affine: AffineParameters, values: Sequence[Any]) -> None:
        affine.mirror = affine.mirror + values[0]
