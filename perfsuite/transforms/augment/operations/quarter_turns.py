"""Quarter turns: 0, 90, 180 or 270 degrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from perfsuite.transforms.augment.affine import AffineParameters
from perfsuite.transforms.augment.operations.base import GeometricOperation, Parameter, RandomSlots, Uniform


@dataclass(frozen=True, slots=True)
class QuarterTurns(GeometricOperation):
    """Turn by 0, 90, 180 or 270 degrees, each equally likely."""

    parameters: ClassVar = (Parameter("quarter_turns", identity=0.0),)  # counter-clockwise, 0..3
    random_slots: ClassVar = RandomSlots(first=1, count=1)

    def sample_parameters(self, u: Sequence[Uniform]) -> tuple[Any, ...]:
        return (np.floor(u[0] * 4),)

    @staticmethod
    def add_to_affine(affine: AffineParameters, values: Sequence[Any]) -> None:
        affine.quarter_turns = affine.quarter_turns + values[0]
