"""The random parameters of every augmentation operation for one sample of one epoch.

    parameters = draw_parameters("moderate", seed=42, epoch=3, index=1017)
    image = cpu.augment_image(parameters, image)  # uint8 HWC in and out
    parameters = draw_batch_parameters("moderate", seed=42, epoch=3, indices=indices)
    batch = device.augment_batch(parameters, batch)  # uint8 NCHW in and out

They are the same in every worker and on every device.

>>> sample = {"seed": 42, "epoch": 0, "index": 7}
>>> draw_parameters("moderate", **sample) == draw_parameters("moderate", **sample)
True
>>> draw_parameters("none", seed=42, epoch=0, index=7) == AugmentationParameters()
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.transforms.arrays import FloatArray
from perfsuite.transforms.augment.affine import AffineParameters
from perfsuite.transforms.augment.counter_rng import epoch_uniforms, sample_uniforms, uniforms
from perfsuite.transforms.augment.modes import AugmentationMode, get_mode
from perfsuite.transforms.augment.operations.registry import (
    COLUMNS,
    GEOMETRIC_OPERATIONS,
    IDENTITY_VALUES,
    PARAMETER_NAMES,
    OperationType,
)

_COLUMN_OF_FIELD = {name: column for column, name in enumerate(PARAMETER_NAMES)}
_GEOMETRIC_COLUMNS = tuple((operation, COLUMNS[operation]) for operation in GEOMETRIC_OPERATIONS)


class AugmentationParameters(tuple[float, ...]):
    """The parameters of one sample: a tuple of numbers, one for each of `PARAMETER_NAMES`, also read by name.

    >>> parameters = AugmentationParameters(mirror=True, degrees=12.0)
    >>> parameters, parameters.degrees, parameters.zoom
    (AugmentationParameters(mirror=1.0, degrees=12.0), 12.0, 1.0)
    >>> parameters.replace(mirror=False)
    AugmentationParameters(degrees=12.0)
    """

    __slots__ = ()

    def __new__(cls, **parameters: float) -> AugmentationParameters:
        """The named parameters; every other one changes nothing."""
        row = list(IDENTITY_VALUES)
        for name, value in parameters.items():
            if name not in _COLUMN_OF_FIELD:
                raise TypeError(
                    f"AugmentationParameters: parameter {name}, expected one of {', '.join(PARAMETER_NAMES)}"
                )
            row[_COLUMN_OF_FIELD[name]] = float(value)
        return cls.from_row(row)

    @classmethod
    def from_row(cls, row: Iterable[float]) -> AugmentationParameters:
        """From all numbers in the order of `PARAMETER_NAMES`."""
        return tuple.__new__(cls, row)

    def __getattr__(self, name: str) -> float:
        try:
            return self[_COLUMN_OF_FIELD[name]]
        except KeyError:
            raise AttributeError(f"AugmentationParameters has no parameter {name!r}") from None

    def replace(self, **parameters: float) -> AugmentationParameters:
        """The same, with other values of these parameters."""
        return AugmentationParameters(**(dict(zip(PARAMETER_NAMES, self, strict=True)) | parameters))

    def values_of(self, operation: OperationType) -> tuple[float, ...]:
        """The parameters of one operation, in its order."""
        return self[COLUMNS[operation]]

    @property
    def affine(self) -> AffineParameters:
        """The geometry as one affine map."""
        affine = AffineParameters()
        for operation, columns in _GEOMETRIC_COLUMNS:
            operation.add_to_affine(affine, self[columns])
        return affine

    def __reduce__(self) -> tuple[Callable[..., AugmentationParameters], tuple[tuple[float, ...]]]:
        return AugmentationParameters.from_row, (tuple(self),)

    def __repr__(self) -> str:
        """Only what differs from the identity."""
        columns = zip(PARAMETER_NAMES, self, IDENTITY_VALUES, strict=True)
        changed = ", ".join(f"{name}={value}" for name, value, same in columns if value != same)
        return f"AugmentationParameters({changed})"


@dataclass(frozen=True, slots=True)
class BatchParameters:
    """The parameters of many samples: a row for each sample, a column for each of `PARAMETER_NAMES`."""

    rows: FloatArray

    @classmethod
    def of(cls, parameters: Sequence[AugmentationParameters]) -> BatchParameters:
        return cls(np.array(parameters, dtype=np.float64).reshape(-1, len(PARAMETER_NAMES)))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, sample: int) -> AugmentationParameters:
        return AugmentationParameters.from_row(self.rows[sample].tolist())

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
    def affine(self) -> AffineParameters:
        """The geometry of all samples, as arrays."""
        affine = AffineParameters()
        for operation, columns in _GEOMETRIC_COLUMNS:
            operation.add_to_affine(affine, tuple(self.rows[:, columns].T))
        return affine


def draw_parameters(
    mode: AugmentationMode | str, seed: int, epoch: int, index: int
) -> AugmentationParameters:
    """The parameters of sample `index` in this epoch; a pure function of the arguments."""
    row = list(IDENTITY_VALUES)
    operations = get_mode(mode).operations
    numbers = {block: sample_uniforms(seed, epoch, index, block) for block in _blocks(operations)}
    for operation in operations:
        slots = operation.random_slots
        values = operation.sample_parameters(numbers[slots.block][slots.numbers])
        row[COLUMNS[type(operation)]] = map(float, values)
    return AugmentationParameters.from_row(row)


def draw_batch_parameters(
    mode: AugmentationMode | str, seed: int, epoch: int, indices: Sequence[int] | NDArray[np.int64]
) -> BatchParameters:
    """The parameters of several samples at once, equal to those of `draw_parameters`."""
    return _parameters_of_mode(get_mode(mode), lambda block: uniforms(seed, epoch, indices, block))


def epoch_parameters(mode: AugmentationMode | str, seed: int, epoch: int, samples: int) -> BatchParameters:
    """The parameters of samples 0 .. samples-1, equal to those of `draw_parameters`."""
    return _parameters_of_mode(get_mode(mode), lambda block: epoch_uniforms(seed, epoch, samples, block))


def _parameters_of_mode(
    mode: AugmentationMode, numbers_of_block: Callable[[int], FloatArray]
) -> BatchParameters:
    # Transposed, so that `u[0]` of an operation is an array with a number for each sample.
    numbers: dict[int, Any] = {block: numbers_of_block(block).T for block in _blocks(mode.operations)}
    rows = np.tile(IDENTITY_VALUES, (numbers[0].shape[1], 1))
    for operation in mode.operations:
        slots = operation.random_slots
        values = operation.sample_parameters(numbers[slots.block][slots.numbers])
        columns = COLUMNS[type(operation)]
        for column, column_values in zip(range(columns.start, columns.stop), values, strict=True):
            rows[:, column] = column_values
    return BatchParameters(rows)


def _blocks(operations: Sequence[Any]) -> set[int]:
    """The blocks of random numbers that the operations read, and block 0, which checks the seed."""
    return {0, *(operation.random_slots.block for operation in operations)}
