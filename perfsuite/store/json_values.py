"""Check values of JSON that somebody else may have written."""

from __future__ import annotations

from typing import Any, TypeGuard

_MAX_SHOWN = 40  # characters of a wrong value in an error
_MAX_PLACE = 200  # characters of the place, which the file may name


class FieldError(ValueError):
    """A field that is wrong. The reader adds the name of the file."""


def is_integer(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number. True and false are none, although Python counts them among them."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number, finite or not."""
    return isinstance(value, float) or is_integer(value)


def field_error(place: str, value: object, expected: str) -> FieldError:
    """The error of a wrong value: where it is, its type and beginning, and what was expected.

    >>> str(field_error("report.seed", "seven", "a whole number"))
    "report.seed is str 'seven', expected a whole number"
    """
    return FieldError(f"{place[:_MAX_PLACE]} is {describe_value(value)}, expected {expected}")


def describe_value(value: object) -> str:
    return "absent" if value is None else f"{type(value).__name__} {str(value)[:_MAX_SHOWN]!r}"


def check_text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise field_error(place, value, "text")
    return value


def check_integer(value: Any, place: str) -> int:
    if not is_integer(value):
        raise field_error(place, value, "a whole number")
    return value


def check_boolean(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise field_error(place, value, "true or false")
    return value


def check_object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise field_error(place, value, "an object")
    return value


def check_list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise field_error(place, value, "a list")
    return value
