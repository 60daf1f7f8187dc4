from __future__ import annotations

import pytest

from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.measurement import Measurement
from perfsuite.report.terminal.run_table import (
    count_limit_outcomes,
    describe_limit,
    render_run,
    split_node_id,
)

SAMPLES = tuple([0.1] * 9)


def judged(name: str, *limits: Verdict, changes: tuple[Verdict, ...] = ()) -> WorkloadRunResult:
    return WorkloadRunResult(Measurement(name, SAMPLES, items_per_call=32, unit="images"), limits, changes)


def verdict(
    outcome: Outcome,
    metric: str = "images_per_second",
    *,
    estimate: float | None = None,
    bound: float | None = None,
) -> Verdict:
    return Verdict("w", metric, outcome, "because", estimate=estimate, bound=bound)


def test_rate_spread_limit_and_outcome_are_in_one_place() -> None:
    table = render_run([judged("b/test_a.py::test_fast", verdict(Outcome.KEPT, bound=50))], 80, color=False)
    for told in ("fast", "320 images/s", "0.0%", "floor 50.0/s", "kept", "1 measured, 1 limit kept"):
        assert told in table


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = judged("b/test_a.py::test_" + "word_" * 40, verdict(Outcome.UNCLEAR, bound=50))
    assert all(len(line) <= width for line in render_run([long], width, color=False).splitlines())


def test_without_color_there_is_no_escape_and_with_it_unclear_has_its_own() -> None:
    rows = [
        judged("t.py::a", verdict(outcome)) for outcome in (Outcome.UNCLEAR, Outcome.BROKEN, Outcome.KEPT)
    ]
    assert "\x1b" not in render_run(rows, 80, color=False)
    colored = {
        line.split("\x1b[", 1)[1].split("m", 1)[0]
        for line in render_run(rows, 80, color=True).splitlines()
        if line.strip().endswith("\x1b[0m") or "\x1b[" in line
    }
    assert len(colored) >= 3


def test_changes_have_a_column_only_where_something_was_compared() -> None:
    plain = render_run([judged("t.py::a")], 80, color=False)
    change = verdict(Outcome.REGRESSED, "time", estimate=0.052)
    counted = Verdict("w", "casts", Outcome.REGRESSED, "2 before, 3 now")
    compared = render_run([judged("t.py::a", changes=(change, counted))], 80, color=False)
    assert "change" not in plain
    assert "+5.2%" in compared
    assert "casts: 2 before, 3 now" in compared


def test_markup_in_a_name_is_shown_and_not_obeyed() -> None:
    assert "[bold]x[/bold]" in render_run([judged("t.py::a[[bold]x[/bold]]")], 80, color=False)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (verdict(Outcome.KEPT, "p95", estimate=0.02, bound=0.05), "p95 20.0 ms, ceiling 50.0 ms"),
        (verdict(Outcome.ERROR, "casts", bound=0), "casts nothing, ceiling 0"),
        (
            Verdict("t::ours against t::pil", "speedup", Outcome.KEPT, "", estimate=1.5, bound=1.2),
            "speedup 1.50 over pil, floor 1.20",
        ),
    ],
)
def test_a_limit_is_told_with_what_was_found(found: Verdict, words: str) -> None:
    assert describe_limit(found) == words


def test_outcomes_are_counted_worst_first() -> None:
    counted = count_limit_outcomes([verdict(Outcome.KEPT), verdict(Outcome.BROKEN), verdict(Outcome.KEPT)])
    assert list(counted.items()) == [("limit broken", 1), ("limits kept", 2)]


def test_a_name_without_a_test_is_its_module() -> None:
    assert split_node_id("benchmarks/test_loaders.py") == ("loaders", "loaders")
