"""A workload: a named call and the number of items that one call handles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.stages import iterate_in_stage


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    call: Callable[[], object]
    items_per_call: float = 1.0
    unit: str = "calls"


def make_workload(
    name: str, subject: object, items: float | None = None, unit: str | None = None
) -> Workload:
    """Make a workload from a callable, or from an iterable of batches, where one call is one full pass.

    The items of an iterable are counted in one extra pass. Their unit is images unless `unit` says otherwise.

    >>> passes = make_workload("loader", [[1, 2, 3], [4, 5]])
    >>> passes.items_per_call, passes.unit
    (5.0, 'images')
    """
    if callable(subject):
        if items is not None and not items > 0:
            raise UsageError(f"{name}: items={items!r}, expected a number above 0")
        return Workload(name, subject, items or 1.0, unit or ("calls" if items is None else "images"))
    if not isinstance(subject, Iterable) or isinstance(subject, str) or iter(subject) is subject:
        raise UsageError(
            f"{name}: {type(subject).__name__} is neither a callable without arguments nor a reusable "
            "iterable; wrap it in a lambda"
        )
    batches = subject
    counted = items if items is not None else float(sum(count_items(batch) for batch in batches))
    if not counted > 0:
        raise UsageError(f"{name}: no items in one pass, expected at least one; is the data set empty?")
    return Workload(name, lambda: iterate_once(batches), counted, unit or "images")


def iterate_once(batches: Iterable[object]) -> None:
    """Make one full pass. The stage `load` is the time spent waiting for batches."""
    for _ in iterate_in_stage("load", batches):
        pass


def count_items(batch: Any) -> int:
    """The number of items in a batch: the length of its first sized part.

    >>> count_items({"image": [1, 2], "label": 0}), count_items(([1, 2, 3], [0, 1, 0])), count_items("a name")
    (2, 3, 1)
    """
    if shape := getattr(batch, "shape", None):
        return int(shape[0])
    if isinstance(batch, str | bytes):
        return 1
    if isinstance(batch, Mapping):
        return next((count_items(part) for part in batch.values() if _is_sized(part)), 1)
    if is_dataclass(batch) and not isinstance(batch, type):
        return count_items({field.name: getattr(batch, field.name) for field in fields(batch)})
    if isinstance(batch, tuple) and batch and _is_sized(batch[0]):
        return count_items(batch[0])
    if isinstance(batch, list) and batch and getattr(batch[0], "shape", None):
        return count_items(batch[0])  # default_collate returns [images, labels]
    if _is_sized(batch):
        return len(batch)
    return 1


def _is_sized(part: object) -> bool:
    return bool(getattr(part, "shape", None)) or (
        isinstance(part, Sequence) and not isinstance(part, str | bytes)
    )
