"""Argument types: what they convert, and what they reject."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from perfsuite.cli.arguments import (
    DECODER_NAMES,
    FRACTION,
    NONNEGATIVE_INT,
    POSITIVE,
    POSITIVE_INT,
    duration,
    number,
    rename,
    size,
)
from perfsuite.data.decoding.registry import DECODERS


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (number(POSITIVE_INT), "3", 3),
        (number(NONNEGATIVE_INT), "0", 0),
        (number(POSITIVE), "1e-3", 1e-3),
        (number(FRACTION), "1%", 0.01),
        (number(FRACTION), "0", 0.0),
        (duration, "90", 90.0),
        (duration, "1.5s", 1.5),
        (duration, "10m", 600.0),
        (duration, "2h", 7200.0),
        (size, "1280x720", (1280, 720)),
        (size, "64X32", (64, 32)),
        (rename, "a=b", ("a", "b")),
        (rename, "a[x=1]==b[x=1]", ("a[x=1]", "b[x=1]")),
    ],
)
def test_a_valid_text_is_converted(parse: Callable[[str], object], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (number(POSITIVE_INT), "0", "a whole number of 1 or more"),
        (number(POSITIVE_INT), "1.5", "a whole number of 1 or more"),
        (number(POSITIVE_INT), "100%", "a whole number of 1 or more"),
        (number(NONNEGATIVE_INT), "-1", "a whole number of 0 or more"),
        (number(POSITIVE), "inf", "a number above 0"),
        (number(POSITIVE), "nan", "a number above 0"),
        (number(POSITIVE), "", "a number above 0"),
        (number(FRACTION), "1", "a number of 0 or more and below 1"),
        (number(FRACTION), "100%", "a number of 0 or more and below 1"),
        (duration, "0", "a time above 0 such as 90s, 10m or 1h"),
        (duration, "-1s", "a time above 0 such as 90s, 10m or 1h"),
        (duration, "10 minutes", "a time above 0 such as 90s, 10m or 1h"),
        (duration, "nan", "a time above 0 such as 90s, 10m or 1h"),
        (size, "64", "WIDTHxHEIGHT such as 1280x720"),
        (size, "0x4", "WIDTHxHEIGHT such as 1280x720"),
        (size, "axb", "WIDTHxHEIGHT such as 1280x720"),
        (rename, "ab", "OLD=NEW"),
        (rename, "=b", "OLD=NEW"),
    ],
)
def test_an_invalid_text_is_rejected_with_what_is_expected(
    parse: Callable[[str], object], text: str, expected: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as error:
        parse(text)
    assert f", expected {expected}" in str(error.value)
    assert text in str(error.value)


def test_the_help_names_every_decoder() -> None:
    assert set(DECODER_NAMES.replace(" or", ",").split(", ")) == {"auto", *DECODERS}
