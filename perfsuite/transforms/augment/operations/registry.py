"""The operations of this folder. A file that defines an operation is registered by being here.

>>> [operation.__name__ for operation in PIXEL_OPERATIONS][:1]
['Brightness']
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from inspect import isabstract
from itertools import combinations
from pkgutil import iter_modules
from typing import TypeGuard

from perfsuite.transforms.augment import operations
from perfsuite.transforms.augment.counter_rng import NUMBERS_PER_SAMPLE
from perfsuite.transforms.augment.operations.base import AugmentOperation, GeometricOperation, PixelOperation

OperationType = type[AugmentOperation]
_OTHER_FILES = {"base", "registry"}


def check_operations(found: Sequence[OperationType]) -> None:
    """Refuse operations that would share a random number, a parameter's name or a place in the order."""
    for one, other in combinations(found, 2):
        names = {parameter.name for parameter in one.parameters} & {
            parameter.name for parameter in other.parameters
        }
        if names:
            raise ValueError(
                f"augment: {one.__name__} and {other.__name__} both have a parameter {', '.join(names)}, "
                "expected different names"
            )
        if one.random_slots.block == other.random_slots.block and _slots(one) & _slots(other):
            raise ValueError(
                f"augment: {one.__name__} and {other.__name__} read the same random numbers, "
                "expected different ones; use RandomSlots.of_own_block"
            )
        if issubclass(one, PixelOperation) and issubclass(other, PixelOperation) and one.order == other.order:
            raise ValueError(
                f"augment: {one.__name__} and {other.__name__} both have order {one.order}, "
                "expected different orders"
            )
    for operation in found:
        last = operation.random_slots.numbers.stop - 1
        if last >= NUMBERS_PER_SAMPLE:
            raise ValueError(
                f"augment: {operation.__name__} reads random number {last}, "
                f"expected below {NUMBERS_PER_SAMPLE}"
            )


def _slots(operation: OperationType) -> set[int]:
    numbers = operation.random_slots.numbers
    return set(range(numbers.start, numbers.stop))


def _find_operations() -> Iterator[OperationType]:
    """The operations that the files of this folder define, by file name."""
    for file in sorted(info.name for info in iter_modules(operations.__path__)):
        if file not in _OTHER_FILES:
            module = import_module(f"{operations.__name__}.{file}")
            yield from (value for value in vars(module).values() if _is_operation(value, module.__name__))


def _is_operation(value: object, module: str) -> TypeGuard[OperationType]:
    return (
        isinstance(value, type)
        and issubclass(value, AugmentOperation)
        and value.__module__ == module
        and not isabstract(value)
    )


OPERATIONS: tuple[OperationType, ...] = tuple(_find_operations())
check_operations(OPERATIONS)

GEOMETRIC_OPERATIONS = tuple(op for op in OPERATIONS if issubclass(op, GeometricOperation))
PIXEL_OPERATIONS = tuple(
    sorted((op for op in OPERATIONS if issubclass(op, PixelOperation)), key=lambda op: op.order)
)

_parameters = [parameter for operation in OPERATIONS for parameter in operation.parameters]
# The columns of `AugmentationParameters`: the parameters of all operations, operation by operation.
PARAMETER_NAMES: tuple[str, ...] = tuple(parameter.name for parameter in _parameters)
IDENTITY_VALUES: tuple[float, ...] = tuple(parameter.identity for parameter in _parameters)


def _columns_of_operations() -> dict[OperationType, slice]:
    columns: dict[OperationType, slice] = {}
    first = 0
    for operation in OPERATIONS:
        columns[operation] = slice(first, first + len(operation.parameters))
        first += len(operation.parameters)
    return columns


COLUMNS = _columns_of_operations()
