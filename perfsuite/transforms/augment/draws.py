"""Draws: the random parameters of every augmentation operation for one sample of one epoch.

    drawn = draw("moderate", seed=42, epoch=3, index=1017)    # the same in every worker, on every device
    image = cpu.augment_image(drawn, image)                              # uint8 HWC in and out
    batch = device.augment_batch(draws("moderate", 42, 3, indices), batch)    # uint8 NCHW in and out

>>> draw("moderate", seed=42, epoch=0, index=7) == draw("moderate", seed=42, epoch=0, index=7)
True
>>> draw("none", seed=42, epoch=0, index=7) == Draw()
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.arrays import FloatArray
from perfsuite.transforms.augment.counter_rng import epoch_uniforms, sample_uniforms, uniforms
from perfsuite.transforms.augment.modes import AugmentationMode, get_mode
from perfsuite.transforms.augment.operations.registry import (
    COLUMNS,
    DRAW_FIELDS,
    GEOMETRIC_OPERATIONS,
    IDENTITY_VALUES,
    OperationType,
)
from perfsuite.transforms.augment.pose import Pose

_COLUMN_OF_FIELD = {name: column for column, name in enumerate(DRAW_FIELDS)}
_GEOMETRIC_COLUMNS = tuple((operation, COLUMNS[operation]) for operation in GEOMETRIC_OPERATIONS)


class Draw(tuple[float, ...]):
    """The parameters of one sample: a tuple of numbers, one for each of `DRAW_FIELDS`, also read by name.

    >>> drawn = Draw(mirror=True, degrees=12.0)
    >>> drawn, drawn.degrees, drawn.zoom
    (Draw(mirror=1.0, degrees=12.0), 12.0, 1.0)
    >>> drawn.replace(mirror=False)
    Draw(degrees=12.0)
    """

    __slots__ = ()

    def __new__(cls, **parameters: float) -> Draw:
        """The named parameters; every other one changes nothing."""
        row = list(IDENTITY_VALUES)
        for name, value in parameters.items():
            if name not in _COLUMN_OF_FIELD:
                raise TypeError(f"Draw: parameter {name}, expected one of {', '.join(DRAW_FIELDS)}")
            row[_COLUMN_OF_FIELD[name]] = float(value)
        return cls.from_row(row)

    @classmethod
    def from_row(cls, row: Iterable[float]) -> Draw:
        """From all numbers in the order of `DRAW_FIELDS`."""
        return tuple.__new__(cls, row)

    def __getattr__(self, name: str) -> float:
        try:
            return self[_COLUMN_OF_FIELD[name]]
        except KeyError:
            raise AttributeError(f"Draw has no parameter {name!r}") from None

    def replace(self, **parameters: float) -> Draw:
        """The same draw with other values of these parameters."""
        return Draw(**(dict(zip(DRAW_FIELDS, self, strict=True)) | parameters))

    def values_of(self, operation: OperationType) -> tuple[float, ...]:
        """The parameters of one operation, in its order."""
        return self[COLUMNS[operation]]

    @property
    def pose(self) -> Pose:
        """The geometry of the draw."""
        pose = Pose()
        for operation, columns in _GEOMETRIC_COLUMNS:
            operation.add_to_pose(pose, self[columns])
        return pose

    def __reduce__(self) -> tuple[Callable[..., Draw], tuple[tuple[float, ...]]]:
        return Draw.from_row, (tuple(self),)

    def __repr__(self) -> str:
        """Only what differs from the identity."""
        columns = zip(DRAW_FIELDS, self, IDENTITY_VALUES, strict=True)
        return f"Draw({', '.join(f'{name}={value}' for name, value, same in columns if value != same)})"


@dataclass(frozen=True, slots=True)
class Draws:
    """The parameters of many samples: a row for each sample, a column for each of `DRAW_FIELDS`."""

    rows: FloatArray

    @classmethod
    def of(cls, drawn: Sequence[Draw]) -> Draws:
        return cls(np.array(drawn, dtype=np.float64).reshape(-1, len(DRAW_FIELDS)))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, sample: int) -> Draw:
        return Draw.from_row(self.rows[sample].tolist())

    def column(self, name: str) -> FloatArray:
        return self.rows[:, _COLUMN_OF_FIELD[name]]

    def values_of(self, operation: OperationType) -> FloatArray:
        """The parameters of one operation: a row for each sample."""
        return self.rows[:, COLUMNS[operation]]

    def is_identity_except(self, name: str) -> NDArray[np.bool_]:
        """For each sample, whether no parameter but this one changes anything."""
        others = [column for field, column in _COLUMN_OF_FIELD.items() if field != name]
        return np.asarray((self.rows[:, others] == np.array(IDENTITY_VALUES)[others]).all(axis=1))

    @property
    def pose(self) -> Pose:
        """The geometry of the draws, as arrays."""
        pose = Pose()
        for operation, columns in _GEOMETRIC_COLUMNS:
            operation.add_to_pose(pose, tuple(self.rows[:, columns].T))
        return pose


def draw(mode: AugmentationMode | str, seed: int, epoch: int, index: int) -> Draw:
    """The parameters of sample `index` in this epoch; a pure function of the arguments."""
    row = list(IDENTITY_VALUES)
    operations = get_mode(mode).operations
    numbers = {block: sample_uniforms(seed, epoch, index, block) for block in _blocks(operations)}
    for operation in operations:
        slots = operation.random_slots
        values = operation.sample_parameters(numbers[slots.block][slots.numbers])
        row[COLUMNS[type(operation)]] = map(float, values)
    return Draw.from_row(row)


def draws(
    mode: AugmentationMode | str, seed: int, epoch: int, indices: Sequence[int] | NDArray[np.int64]
) -> Draws:
    """The parameters of several samples at once, equal to those of `draw`."""
    return _draws_of_mode(get_mode(mode), lambda block: uniforms(seed, epoch, indices, block))


def epoch_draws(mode: AugmentationMode | str, seed: int, epoch: int, samples: int) -> Draws:
    """The parameters of samples 0 .. samples-1, equal to those of `draw`."""
    return _draws_of_mode(get_mode(mode), lambda block: epoch_uniforms(seed, epoch, samples, block))


def _draws_of_mode(mode: AugmentationMode, numbers_of_block: Callable[[int], FloatArray]) -> Draws:
    # Transposed, so that `u[0]` of an operation is an array with a number for each sample.
    numbers: dict[int, Any] = {block: numbers_of_block(block).T for block in _blocks(mode.operations)}
    rows = np.tile(IDENTITY_VALUES, (numbers[0].shape[1], 1))
    for operation in mode.operations:
        slots = operation.random_slots
        values = operation.sample_parameters(numbers[slots.block][slots.numbers])
        columns = COLUMNS[type(operation)]
        for column, drawn in zip(range(columns.start, columns.stop), values, strict=True):
            rows[:, column] = drawn
    return Draws(rows)


def _blocks(operations: Sequence[Any]) -> set[int]:
    """The blocks of random numbers that the operations read, and block 0, which checks the seed."""
    return {0, *(operation.random_slots.block for operation in operations)}
