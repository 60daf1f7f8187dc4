from __future__ import annotations

import pytest

from perfsuite.errors import UsageError
from perfsuite.judge.units import Kind, Range, parse, show


@pytest.mark.parametrize(
    ("written", "kind", "value"),
    [
        ("50 ms", Kind.SECONDS, 0.05),
        ("50ms", Kind.SECONDS, 0.05),
        ("1.5 s", Kind.SECONDS, 1.5),
        ("1e3 us", Kind.SECONDS, 1e-3),
        (0.25, Kind.SECONDS, 0.25),
        ("400 MiB", Kind.BYTES, 400 * 2**20),
        ("400 MB", Kind.BYTES, 4e8),
        ("30 %", Kind.RATIO, 0.3),
        ("1.25x", Kind.RATIO, 1.25),
        ("1_000", Kind.COUNT, 1000),
        (0, Kind.COUNT, 0),
        ("50 /s", Kind.RATE, 50),
    ],
)
def test_quantities_are_read_as_people_write_them(written: object, kind: Kind, value: float) -> None:
    assert parse(written, kind, "limit") == pytest.approx(value)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("400 ms", Kind.BYTES),
        ("400 mb", Kind.BYTES),
        ("50 MiB", Kind.SECONDS),
        ("fast", Kind.RATE),
        ("", Kind.RATE),
        (True, Kind.COUNT),
        (None, Kind.RATIO),
        ([1], Kind.RATIO),
        (-1, Kind.SECONDS),
        (float("nan"), Kind.SECONDS),
        (float("inf"), Kind.RATE),
        (10**400, Kind.COUNT),
        ("1e400", Kind.RATIO),
        ("nan", Kind.RATIO),
        ("inf s", Kind.SECONDS),
        (float("inf"), Kind.BYTES),
        (1.5, Kind.COUNT),
    ],
)
def test_a_wrong_unit_or_number_names_what_was_expected(written: object, kind: Kind) -> None:
    with pytest.raises(UsageError, match=r"limit: .*(expected|write|whole)"):
        parse(written, kind, "limit")


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (float("inf"), Kind.RATE, "unbounded"),
        (0, Kind.COUNT, "0"),
        (0, Kind.SECONDS, "0 ns"),
        (1.5e-6, Kind.SECONDS, "1.50 us"),
        (3 * 2**30, Kind.BYTES, "3.00 GiB"),
        (-0.02, Kind.RATIO, "-0.020"),
    ],
)
def test_quantities_are_shown_in_three_figures(value: float, kind: Kind, shown: str) -> None:
    assert show(value, kind) == shown


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("within", "inside", "outside"),
    [
        (Range(0, 1), [0.5, 1e-300, 0.999], [0, 0.0, 1, 1.0, -0.1, 2]),
        (Range(0, 1, with_low=True), [0, 0.0, 0.5], [1, -1e-300]),
        (Range(0), [1, 1e300, 10**400], [0, -1]),
        (Range(1, with_low=True, whole=True), [1, 10**400], [0, 1.5, 2.0]),
        (Range(whole=True), [0, -5, 10**400], [0.0]),
    ],
)
def test_a_range_holds_numbers_and_nothing_else(
    within: Range, inside: list[object], outside: list[object]
) -> None:
    for value in inside:
        within.check("limit", value)
    for value in [*outside, NAN, INF, -INF, True, False, "0.5", None, [0.5]]:
        with pytest.raises(UsageError, match=r"^limit: .*, expected a"):
            within.check("limit", value)
