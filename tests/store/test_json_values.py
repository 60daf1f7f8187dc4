"""Each check accepts the values of its type, and refuses every other with its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from perfsuite.store import json_values
from perfsuite.store.json_values import FieldError, field_error, is_integer, is_number

VALUES: list[object] = [None, True, 0, -1.5, float("nan"), "text", [1], {"a": 1}]
ACCEPTED: list[tuple[Callable[[object, str], object], type, str]] = [
    (json_values.check_boolean, bool, "true or false"),
    (json_values.check_integer, int, "a whole number"),
    (json_values.check_text, str, "text"),
    (json_values.check_list, list, "a list"),
    (json_values.check_object, dict, "an object"),
]


@pytest.mark.parametrize(("check", "kind", "expected"), ACCEPTED)
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_only_values_of_the_type_are_accepted(
    check: Callable[[object, str], object], kind: type, expected: str, value: object
) -> None:
    if type(value) is kind:
        assert check(value, "here") is value
    else:
        with pytest.raises(FieldError, match=f"^here is .*, expected {expected}$"):
            check(value, "here")


def test_true_is_no_number() -> None:
    assert [value for value in VALUES if is_integer(value)] == [0]
    assert [type(value) for value in VALUES if is_number(value)] == [int, float, float]


def test_an_error_is_short_whatever_the_file_holds() -> None:
    assert len(str(field_error("x" * 10_000, "y" * 10_000, "text"))) < 300
