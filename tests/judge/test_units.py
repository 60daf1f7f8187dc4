from __future__ import annotations

import pytest

from perfsuite.errors import UsageError
from perfsuite.judge.units import MetricKind, Range, format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("written", "kind", "value"),
    [
        ("50 ms", MetricKind.SECONDS, 0.05),
        ("50ms", MetricKind.SECONDS, 0.05),
        ("1.5 s", MetricKind.SECONDS, 1.5),
        ("1e3 us", MetricKind.SECONDS, 1e-3),
        (0.25, MetricKind.SECONDS, 0.25),
        ("400 MiB", MetricKind.BYTES, 400 * 2**20),
        ("400 MB", MetricKind.BYTES, 4e8),
        ("30 %", MetricKind.RATIO, 0.3),
        ("1.25x", MetricKind.RATIO, 1.25),
        ("1_000", MetricKind.COUNT, 1000),
        (0, MetricKind.COUNT, 0),
        ("50 /s", MetricKind.RATE, 50),
    ],
)
def test_quantities_with_units_are_parsed(written: object, kind: MetricKind, value: float) -> None:
    assert parse_quantity(written, kind, "limit") == pytest.approx(value)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("400 ms", MetricKind.BYTES),
        ("400 mb", MetricKind.BYTES),
        ("50 MiB", MetricKind.SECONDS),
        ("fast", MetricKind.RATE),
        ("", MetricKind.RATE),
        (True, MetricKind.COUNT),
        (None, MetricKind.RATIO),
        ([1], MetricKind.RATIO),
        (-1, MetricKind.SECONDS),
        (float("nan"), MetricKind.SECONDS),
        (float("inf"), MetricKind.RATE),
        (10**400, MetricKind.COUNT),
        ("1e400", MetricKind.RATIO),
        ("nan", MetricKind.RATIO),
        ("inf s", MetricKind.SECONDS),
        (float("inf"), MetricKind.BYTES),
        (1.5, MetricKind.COUNT),
    ],
)
def test_a_wrong_unit_or_number_names_the_expected_ones(written: object, kind: MetricKind) -> None:
    with pytest.raises(UsageError, match=r"limit: .*(expected|write|whole)"):
        parse_quantity(written, kind, "limit")


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (float("inf"), MetricKind.RATE, "unbounded"),
        (0, MetricKind.COUNT, "0"),
        (0, MetricKind.SECONDS, "0 ns"),
        (1.5e-6, MetricKind.SECONDS, "1.50 us"),
        (3 * 2**30, MetricKind.BYTES, "3.00 GiB"),
        (-0.02, MetricKind.RATIO, "-0.020"),
    ],
)
def test_quantities_are_formatted_with_three_digits(value: float, kind: MetricKind, shown: str) -> None:
    assert format_quantity(value, kind) == shown


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
def test_a_range_contains_only_numbers(within: Range, inside: list[object], outside: list[object]) -> None:
    for value in inside:
        within.check("limit", value)
    for value in [*outside, NAN, INF, -INF, True, False, "0.5", None, [0.5]]:
        with pytest.raises(UsageError, match=r"^limit: .*, expected a"):
            within.check("limit", value)
