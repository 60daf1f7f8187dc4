"""A report on the terminal."""

from __future__ import annotations

from perfsuite.judge.verdict import Outcome
from perfsuite.report.formats import terminal
from tests.report.sample_reports import all_outcomes, make_comparison, make_verdict


def test_kept_workloads_are_folded() -> None:
    text = terminal.render(all_outcomes(), width=100)
    assert "test_kept_" not in text
    assert "10 kept" in text
    assert "test_kept_0" in terminal.render(all_outcomes(), width=100, show_kept=True)


def test_the_stage_behind_a_change_is_named() -> None:
    assert "stage that changed most: decode in test_a.py::test_regressed" in terminal.render(
        all_outcomes(), width=100
    )


def test_the_command_is_not_wrapped() -> None:
    assert "reproduce with: perfsuite gate --base origin/main benchmarks\n" in terminal.render(
        all_outcomes(), width=30
    )


def test_a_comparison_names_its_sides_and_its_history() -> None:
    text = terminal.render(make_comparison([], sides=["A: main\x1b[2J", "B: head"]))
    assert text.startswith("A: main\\x1b[2J\nB: head\n")
    assert "history: 12 other runs of this environment\n" in text


def test_the_headline_is_printed_once() -> None:
    verdicts = [make_verdict("t", Outcome.REGRESSED), make_verdict("u", Outcome.MISSING)]
    assert terminal.render(make_comparison(verdicts)).count("1 regressed, 1 missing") == 1


def test_the_headline_of_a_gate_is_printed_once_with_what_would_have_been_found() -> None:
    text = terminal.render(all_outcomes(), width=100)
    assert text.count("10 kept") == 1
    assert "kept: slowdowns of 3.1% and more would have been found in noise like this\n" in text


def test_what_to_do_first_is_listed() -> None:
    text = terminal.render(all_outcomes(), width=200)
    assert "first: 3 slower or with worse counters: begin with test_a.py::test[<script>" in text
    assert "first: 2 not compared: begin with " in text


def test_color_is_opt_in() -> None:
    assert "\x1b[" not in terminal.render(all_outcomes())
    assert "\x1b[" in terminal.render(all_outcomes(), color=True)
