"""The table of verdicts: order, folding, width and colors."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from perfsuite.judge.gate_report import WorkloadGateResult
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.report.terminal.verdict_table import build_verdict_table
from tests.report.sample_reports import make_verdict

ONE_OF_EACH = [make_verdict(f"test_{outcome}", outcome, 0.1) for outcome in Outcome]


def render(verdicts: list[Verdict], width: int = 80, color: bool = False, show_kept: bool = False) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, force_terminal=color, color_system="standard" if color else None
    )
    workloads = [WorkloadGateResult(verdict.workload, (verdict,)) for verdict in verdicts]
    console.print(build_verdict_table(workloads, ["kernel differs"], show_kept))
    return stream.getvalue()


def test_the_worst_verdict_comes_first_and_kept_ones_are_only_counted() -> None:
    text = render(ONE_OF_EACH)
    order = [text.index(f"test_{each}") for each in ("regressed", "broken", "unclear", "improved", "new")]
    assert order == sorted(order)
    assert "test_kept" not in text
    assert "test_kept" in render(ONE_OF_EACH, show_kept=True)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    name = "benchmarks/test_loading.py::test_of_a_name[of-great-length]" * 2
    verdicts = [*ONE_OF_EACH, make_verdict(name, Outcome.REGRESSED, 0.1)]
    assert max(map(len, render(verdicts, width).splitlines())) <= width


def test_without_color_there_is_no_escape_sequence() -> None:
    assert "\x1b" not in render(ONE_OF_EACH)


def test_unclear_regressed_and_improved_have_three_colors() -> None:
    text = render(ONE_OF_EACH, color=True)
    colors = set()
    for outcome in (Outcome.UNCLEAR, Outcome.REGRESSED, Outcome.IMPROVED):
        match = re.search(rf"(\x1b\[[0-9;]+m){outcome}", text)
        assert match is not None
        colors.add(match[1])
    assert len(colors) == 3


def test_rows_with_the_same_outcome_and_reason_are_folded_with_a_count() -> None:
    verdicts = [make_verdict(f"test_{n}", Outcome.UNCLEAR, 0.1, reason="other cpu") for n in range(50)]
    text = render(verdicts)
    assert "and 47 more: other cpu" in text
    assert text.count("other cpu") == 1


def test_counters_stand_under_their_workload_with_the_time_of_both_sides() -> None:
    counters = [
        replace(
            make_verdict("t", Outcome.IMPROVED, metric=name, reason="3 -> 1 (-2)"),
            evidence="the same in 10 pairs",
        )
        for name in ("casts", "copies", "dispatched_ops")
    ]
    workload = WorkloadGateResult(
        "t", (make_verdict("t", Outcome.REGRESSED, 0.5), *counters), seconds_per_call=(0.0123, 0.0188)
    )
    stream = io.StringIO()
    Console(file=stream, width=140).print(build_verdict_table([workload]))
    text = stream.getvalue()
    assert "improved: casts 3 -> 1 (-2), copies 3 -> 1 (-2), dispatched_ops 3 -> 1 (-2)" in text
    assert text.count("the same in 10 pairs") == 1
    assert "12.3 ms -> 18.8 ms" in text
    assert sum(line.startswith(("regressed", "improved")) for line in text.splitlines()) == 1


def test_markup_and_control_characters_of_a_name_are_printed_and_not_interpreted() -> None:
    name = "[red]x[/red] \x1b[31m <script>alert(1)</script> | `a` @team #1 [a](http://x) **b** \n\r"
    text = render([make_verdict(name, Outcome.REGRESSED, 0.1, metric="m[b]")], width=200)
    assert "\x1b" not in text
    assert "[red]x[/red] \\x1b[31m <script>" in text
    assert "regressed: m[b] because of regressed" in text
