"""Validation of what a checkpoint contains: an error names the file, the place, and what was expected."""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from perfsuite.errors import DataError

T = TypeVar("T")

Count = Annotated[int, Field(strict=True, ge=0)]
FiniteNumber = Annotated[float, Field(strict=True, allow_inf_nan=False)]
MAX_SHOWN = 60  # characters of a wrong value


def validate(kind: Any, content: Any, path: str | Path, place: str) -> Any:
    """Return `content` as a `kind`, or raise DataError for the first field that is wrong.

    >>> validate(Count, -1, "m.pth", "steps_done")
    Traceback (most recent call last):
    perfsuite.errors.DataError: m.pth: steps_done is -1, expected greater than or equal to 0; \
train again or restore the file
    """
    try:
        return _adapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join([place, *map(str, first["loc"])])
        expected = (
            first["msg"].replace("Input should be", "expected").replace("Field required", "expected it")
        )
        found = "missing" if first["type"] == "missing" else _shorten(repr(first["input"]))
        raise DataError(f"{path}: {where} is {found}, {expected}; train again or restore the file") from error


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    if is_dataclass(kind):  # has its own configuration
        return TypeAdapter(kind)
    return TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True))
