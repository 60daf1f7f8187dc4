"""The worst comes first, what is kept is folded, and no name can steer the terminal or the page."""

from __future__ import annotations

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from perfsuite.judge.verdict import Interval, Outcome, Verdict, sort_by_severity
from perfsuite.report import json_, markdown
from perfsuite.report.terminal import verdict_table
from perfsuite.report.text import format_change


def a_verdict(
    outcome: Outcome,
    workload: str = "test_decode",
    metric: str = "time",
    reason: str = "",
    estimate: float = 0.1,
) -> Verdict:
    interval = Interval(estimate - 0.02, estimate + 0.02, 0.99)
    return Verdict(
        workload, metric, outcome, reason or f"because of {workload}", estimate, interval, 0.01, 0.03
    )


ALL = [a_verdict(outcome, f"test_{outcome}") for outcome in Outcome]


def shown(found: list[Verdict], width: int = 80, color: bool = False, **told: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=color, color_system="standard" if color else None)
    verdict_table.print_verdicts(found, console, ["kernel differs"], **told)
    return out.getvalue()


def test_the_worst_comes_first_and_kept_ones_are_counted() -> None:
    text = shown(ALL)
    order = [text.index(f"test_{each}") for each in ("broken", "regressed", "unclear", "improved", "new")]
    assert order == sorted(order)
    assert "test_kept" not in text
    assert "1 kept (kept: slowdowns of 3.0% and more would have been found)" in " ".join(text.split())
    assert "test_kept" in shown(ALL, show_kept=True)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    found = [a_verdict(Outcome.REGRESSED, "benchmarks/test_loading.py::test_of_a_name[of-great-length]" * 2)]
    assert max(map(len, shown([*ALL, *found], width).splitlines())) <= width


def test_without_color_there_is_none() -> None:
    assert "\x1b" not in shown(ALL)


def test_unclear_has_a_color_of_its_own() -> None:
    text = shown(ALL, color=True)
    colors = {
        outcome: re.search(rf"(\x1b\[[0-9;]+m){outcome}", text)[1]  # type: ignore[index]
        for outcome in (Outcome.UNCLEAR, Outcome.REGRESSED, Outcome.IMPROVED)
    }
    assert len(set(colors.values())) == 3


def test_many_alike_are_folded_with_a_count() -> None:
    found = [a_verdict(Outcome.UNCLEAR, f"test_{n}", reason="other cpu") for n in range(50)]
    text = shown(found)
    assert "and 47 more: other cpu" in text
    assert text.count("other cpu") == 1


def test_nothing_at_all_says_so() -> None:
    assert "nothing compared" in shown([])


NASTY = "[red]x[/red] \x1b[31m <script>alert(1)</script> | `a` @team #1 [a](http://x) **b** \n\r"


def test_a_nasty_name_is_shown_as_it_is() -> None:
    text = shown([a_verdict(Outcome.REGRESSED, NASTY, "m[b]")], width=200)
    assert "\x1b" not in text
    assert "[red]x[/red] \\x1b[31m <script>" in text
    assert "m[b]" in text


def table_rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_out_of_its_cell(workload: str, metric: str, reason: str) -> None:
    text = markdown.render([a_verdict(Outcome.REGRESSED, workload, metric, reason or "x")], "Runs")
    assert len(table_rows(text)) == 3
    row = table_rows(text)[-1]
    assert row.count("|") == 6
    inside = (
        row.replace("**regressed**", "").replace("<code>", "").replace("</code>", "").replace("<!-- -->", "")
    )
    assert not set("<>`*_[]\\!~\x1b") & set(inside)


def test_a_mention_mentions_nobody() -> None:
    text = markdown.render([a_verdict(Outcome.REGRESSED, "@team", reason="@team")], "Runs")
    assert "@team" not in text


def test_kept_ones_are_folded_and_long_tables_cut() -> None:
    found = [a_verdict(Outcome.REGRESSED, f"test_{n}") for n in range(300)] + [a_verdict(Outcome.KEPT)] * 2
    text = markdown.render(found, "Runs", ["kernel differs"])
    assert "<details><summary>2 kept</summary>" in text
    assert "and 100 more" in text
    assert "> kernel differs" in text
    assert len(text.encode()) < 64 * 1024


def test_json_holds_everything_and_only_json() -> None:
    endless = Verdict("t", "time", Outcome.UNCLEAR, "r", float("inf"), Interval(-1, float("inf"), 0.99))
    told = json.loads(json_.render([*ALL, endless], ["w"], 1), parse_constant=pytest.fail)
    assert told["exit_code"] == 1
    assert len(told["verdicts"]) == len(ALL) + 1
    assert told["verdicts"][0]["outcome"] == "broken"
    assert [each["interval"]["high"] for each in told["verdicts"] if each["workload"] == "t"] == [None]


def test_larger_changes_come_first_whichever_way() -> None:
    found = [a_verdict(Outcome.REGRESSED, name, estimate=size) for name, size in (("a", 0.1), ("b", 0.5))]
    assert [each.workload for each in sort_by_severity(found)] == ["b", "a"]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.0, "+0.0 %"), (-0.123, "-12.3 %"), (9.0, "10.0 x"), (float("inf"), "any"), (None, "")],
)
def test_changes_read_well(ratio: float | None, text: str) -> None:
    assert format_change(ratio) == text
