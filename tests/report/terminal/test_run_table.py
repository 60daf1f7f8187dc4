"""The table at the end of a pytest run."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.measurement import Measurement
from perfsuite.report.terminal.run_table import (
    count_limit_outcomes,
    describe_limit,
    render_run,
    split_node_id,
    wrap_name,
)

SAMPLES = tuple([0.1] * 9)


def make_result(
    name: str, *limits: Verdict, changes: tuple[Verdict, ...] = (), items: float = 32, unit: str = "images"
) -> WorkloadRunResult:
    measurement = Measurement(name, SAMPLES, items_per_call=items, unit=unit)
    return WorkloadRunResult(measurement, limits, changes)


def make_verdict(
    outcome: Outcome,
    metric: str = "images_per_second",
    *,
    estimate: float | None = None,
    bound: float | None = None,
) -> Verdict:
    return Verdict("w", metric, outcome, "because", estimate=estimate, bound=bound)


FLOOR = make_verdict(Outcome.KEPT, bound=50)


def test_a_row_has_rate_spread_limit_and_outcome() -> None:
    table = render_run([make_result("b/test_a.py::test_fast", FLOOR)], 80, color=False)
    for text in ("fast", "320 images/s", "0.0%", "floor 50.0/s", "kept", "1 measured, 1 limit kept"):
        assert text in table


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = make_result("b/test_a.py::test_" + "word_" * 40, make_verdict(Outcome.UNCLEAR, bound=50))
    assert all(len(line) <= width for line in render_run([long], width, color=False).splitlines())


def test_a_name_is_wrapped_between_words_at_80_columns() -> None:
    name = "b/test_a.py::test_own_loader_feeds_the_training_step[threads-moderate-jpeg]"
    table = render_run([make_result(name, FLOOR)], 80, color=False)
    words = re.findall(r"[a-z]+", table)
    for word in ("loader", "feeds", "training", "step", "threads", "moderate", "jpeg"):
        assert word in words, f"{word} is not cut"


def test_numbers_and_units_of_different_lengths_align() -> None:
    results = [
        make_result("t.py::a", items=32),
        make_result("t.py::b", items=123_456.7, unit="calls"),
        make_result("t.py::c", items=0.01, unit="batches"),
    ]
    lines = [line for line in render_run(results, 80, color=False).splitlines() if "/s" in line]
    ends = {re.search(r"[\d,.]+(?= \w+/s)", line).end() for line in lines}  # type: ignore[union-attr]
    assert len(lines) == 3
    assert len(ends) == 1


@pytest.mark.parametrize(("width", "has_column"), [(70, False), (100, True)])
def test_limits_have_a_column_only_where_there_is_room(width: int, has_column: bool) -> None:
    result = make_result("b/test_a.py::test_fast_loader", FLOOR)
    lines = render_run([result], width, color=False).splitlines()
    assert any("floor 50.0/s" in line and "320 images/s" in line for line in lines) == has_column
    assert ("limit" in lines[0]) == has_column


def test_unclear_has_a_color_of_its_own_and_without_color_there_is_no_escape() -> None:
    outcomes = (Outcome.UNCLEAR, Outcome.BROKEN, Outcome.KEPT)
    results = [make_result("t.py::a", make_verdict(outcome)) for outcome in outcomes]
    assert "\x1b" not in render_run(results, 80, color=False)
    text = render_run(results, 80, color=True)
    styles = {re.search(rf"(\x1b\[[\d;]+m){outcome}\b", text)[1] for outcome in outcomes}  # type: ignore[index]
    assert len(styles) == 3


def test_changes_have_a_column_only_where_something_was_compared() -> None:
    plain = render_run([make_result("t.py::a")], 80, color=False)
    change = make_verdict(Outcome.REGRESSED, "time", estimate=0.052)
    counted = Verdict("w", "casts", Outcome.REGRESSED, "2 before, 3 now")
    compared = render_run([make_result("t.py::a", changes=(change, counted))], 80, color=False)
    assert "change" not in plain
    assert "+5.2%" in compared
    assert "casts: 2 before, 3 now" in compared


def test_markup_and_control_characters_are_printed_and_not_interpreted() -> None:
    counted = Verdict("w", "m\x1b[2J", Outcome.REGRESSED, "\x1b[31mred")
    result = make_result("t\x1b[1m.py::a[[bold]x[/bold]]", changes=(counted,), unit="\x1b]0;images")
    table = render_run([result], 120, color=False)
    assert "\x1b" not in table
    assert "[bold]x[/bold]" in table
    assert "m\\x1b[2J: \\x1b[31mred" in table


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (make_verdict(Outcome.KEPT, "p95", estimate=0.02, bound=0.05), "p95 20.0 ms, ceiling 50.0 ms"),
        (make_verdict(Outcome.ERROR, "casts", bound=0), "casts nothing, ceiling 0"),
        (
            Verdict("t::ours against t::pil", "speedup", Outcome.KEPT, "", estimate=1.5, bound=1.2),
            "speedup 1.50 over pil, floor 1.20",
        ),
    ],
)
def test_a_limit_is_described_with_the_measured_value(verdict: Verdict, text: str) -> None:
    assert describe_limit(verdict) == text


def test_limits_are_counted_by_outcome_worst_first() -> None:
    outcomes = (Outcome.KEPT, Outcome.BROKEN, Outcome.KEPT)
    counts = count_limit_outcomes([make_verdict(outcome) for outcome in outcomes])
    assert list(counts.items()) == [("limit broken", 1), ("limits kept", 2)]


def test_a_name_without_a_test_is_its_module() -> None:
    assert split_node_id("benchmarks/test_loaders.py") == ("loaders", "loaders")


@given(st.text(alphabet="ab -_[]/", max_size=60), st.integers(1, 20))
def test_a_wrapped_name_loses_nothing_but_spaces(name: str, width: int) -> None:
    lines = wrap_name(name, width)
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    assert all(len(line) <= width for line in lines)
