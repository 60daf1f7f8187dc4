"""The table at the end of a pytest run."""

from __future__ import annotations

import re

import pytest

from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.measurement import Measurement
from perfsuite.report.terminal.run_table import (
    count_limit_outcomes,
    describe_limit,
    render_run,
)

SAMPLES = tuple([0.1] * 9)


def make_result(
    name: str, *limits: Verdict, changes: tuple[Verdict, ...] = (), items: float = 32, unit: str = "images"
) -> WorkloadRunResult:
    measurement = Measurement(name, SAMPLES, items_per_call=items, unit=unit)
    return WorkloadRunResult(measurement, limits, changes=changes)


def make_verdict(
    outcome: Outcome,
    metric: str = "images_per_second",
    *,
    estimate: float | None = None,
    bound: float | None = None,
) -> Verdict:
    return Verdict("w", metric, outcome, "because", estimate=estimate, bound=bound)


FLOOR = make_verdict(Outcome.KEPT, bound=50)
ARMS = "b/test_a.py::test_race::ours", "b/test_a.py::test_race::theirs", "b/test_a.py::test_race::third"


def against(reference: str, outcome: Outcome = Outcome.KEPT) -> Verdict:
    return Verdict(ARMS[0], "speedup", outcome, "because", estimate=1.5, bound=1.2, reference=reference)


def lines_of(*results: WorkloadRunResult, width: int = 80) -> list[str]:
    return render_run(results, width, color=False).splitlines()


def test_a_row_has_rate_spread_limit_and_outcome_in_one_line() -> None:
    row = next(line for line in lines_of(make_result("b/test_a.py::test_fast", FLOOR)) if "fast" in line)
    assert re.fullmatch(r"  fast +320 images/s +0.0%  ≥ 50.0/s +kept", row)


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = make_result("b/test_a.py::test_" + "word_" * 40, make_verdict(Outcome.UNCLEAR, bound=50))
    arm = make_result("b/test_a.py::test_" + "word_" * 40 + "::arm", make_verdict(Outcome.BROKEN, bound=50))
    lines = render_run([long, arm], width, color=False).splitlines()
    assert max(map(len, lines)) <= width


def test_a_long_name_is_cut_from_the_left_and_keeps_its_parameters() -> None:
    name = "b/test_a.py::test_own_loader_feeds_the_training_step_of_a_model[threads-jpeg]"
    table = render_run([make_result(name, FLOOR)], 80, color=False)
    assert "…" in table
    assert "[threads-jpeg]" in table


def test_the_workloads_of_one_test_are_grouped_under_its_name() -> None:
    lines = lines_of(*(make_result(name) for name in ARMS))
    start = lines.index("  race")
    assert [line.split()[0] for line in lines[start + 1 : start + 4]] == ["ours", "theirs", "third"]


def test_the_reference_is_named_only_where_there_are_several() -> None:
    pair = lines_of(make_result(ARMS[0], against(ARMS[1])), make_result(ARMS[1]))
    race = lines_of(make_result(ARMS[0], against(ARMS[1]), against(ARMS[2])))
    assert any(line.endswith("1.50x ≥ 1.20x  kept") for line in pair)
    assert [name for name in ("theirs", "third") if any(f"1.20x over {name}" in line for line in race)] == [
        "theirs",
        "third",
    ]


def test_workloads_of_one_module_stand_together_in_the_order_of_the_run() -> None:
    names = "test_a.py::one", "test_b.py::two", "test_a.py::three"
    words = [line.split()[0] for line in lines_of(*map(make_result, names)) if line.strip()]
    assert words[2:7] == ["a", "one", "three", "b", "two"]


def test_numbers_and_units_of_different_lengths_align() -> None:
    results = [
        make_result("t.py::a", items=32),
        make_result("t.py::b", items=123_456.7, unit="calls"),
        make_result("t.py::c", items=0.01, unit="batches"),
    ]
    lines = [line for line in lines_of(*results) if "/s" in line]
    ends = {re.search(r"[\d,.]+(?= \w+/s)", line).end() for line in lines}  # type: ignore[union-attr]
    assert len(lines) == 3
    assert len(ends) == 1


def test_a_limit_too_long_for_the_column_has_a_line_of_its_own() -> None:
    memory = make_verdict(Outcome.KEPT, "peak_memory_growth", estimate=2**20, bound=2**28)
    narrow = lines_of(make_result("b/test_a.py::test_index", memory))
    wide = lines_of(make_result("b/test_a.py::test_index", memory), width=120)
    limit = "peak_memory_growth 1.00 MiB ≤ 256 MiB"
    assert any(line.strip() == limit for line in narrow)
    assert any(limit in line and "index" in line for line in wide)


def test_an_aim_is_shown_and_decides_nothing() -> None:
    measured = make_result(ARMS[0]).measurement
    result = WorkloadRunResult(measured, aims=(against(ARMS[1], Outcome.BROKEN),))
    lines = lines_of(result)
    assert any("1.50x aim ≥ 1.20x" in line for line in lines)
    assert result.outcome is None
    assert not any("broken" in line for line in lines)
    assert lines[-1] == "1 measured, 0 of 1 aims reached"


def test_what_needs_attention_follows_in_words_the_worst_last() -> None:
    outcomes = Outcome.BROKEN, Outcome.KEPT, Outcome.UNCLEAR
    lines = lines_of(*(make_result(f"t.py::{each}", make_verdict(each, bound=1)) for each in outcomes))
    attention = lines[lines.index("") + 1 :]
    assert [line.split()[0] for line in attention] == ["unclear", "because", "broken", "because", "3"]


def test_nothing_follows_where_all_is_well() -> None:
    assert "" not in lines_of(make_result("t.py::a", FLOOR))


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
        (make_verdict(Outcome.KEPT, "p95", estimate=0.02, bound=0.05), "p95 20.0 ms ≤ 50.0 ms"),
        (make_verdict(Outcome.ERROR, "casts", bound=0), "casts nothing ≤ 0"),
        (make_verdict(Outcome.KEPT, "overhead", estimate=0.0512, bound=0.3), "overhead 5.1% ≤ 30%"),
        (make_verdict(Outcome.KEPT, "overhead_share", estimate=0.327, bound=0.3), "overhead_share 33% ≤ 30%"),
        (against("t::pil"), "1.50x ≥ 1.20x"),
    ],
)
def test_a_limit_is_described_with_the_measured_value(verdict: Verdict, text: str) -> None:
    assert describe_limit(verdict) == text


def test_limits_are_counted_by_outcome_worst_first() -> None:
    outcomes = (Outcome.KEPT, Outcome.BROKEN, Outcome.KEPT)
    counts = count_limit_outcomes([make_verdict(outcome) for outcome in outcomes])
    assert list(counts.items()) == [("limit broken", 1), ("limits kept", 2)]


def test_columns_are_chosen_and_a_quiet_run_says_what_needs_attention() -> None:
    broken = Verdict("t.py::b", "p50", Outcome.BROKEN, "p50 is above", estimate=2.0, bound=1.0)
    results = [make_result("t.py::a", FLOOR), make_result("t.py::b", broken)]
    everything = render_run(results, 80, color=False)
    chosen = render_run(results, 80, color=False, columns=["spread"])
    quiet = render_run(results, 80, color=False, is_quiet=True)
    assert all(each in everything for each in ("rate", "±", "limit\n", "p50 2.00 s ≤ 1.00 s", "broken"))
    assert [each for each in ("rate", "±", "limit\n", "p50 2", "broken") if each in chosen] == ["±", "broken"]
    assert quiet.splitlines()[0] == ""
    assert quiet.splitlines()[1].startswith("broken  t: b")
    assert "rate" not in quiet
    assert quiet.endswith(everything.splitlines()[-1] + "\n")
