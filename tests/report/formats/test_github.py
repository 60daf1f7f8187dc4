"""Workflow commands of GitHub Actions: those that are meant, and none that a name smuggles in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfsuite.judge.gate_report import WorkloadGateResult
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.report.formats import github
from perfsuite.report.report import report_gate
from tests.report.sample_reports import (
    HOSTILE_NAME,
    make_comparison,
    make_gate,
    make_gate_report,
    make_verdict,
    make_workload,
    many_regressed,
    many_regressed_gate,
)


def test_an_annotation_names_the_file_and_line_of_the_test() -> None:
    report = make_gate_report(make_workload("test_a.py::t", Outcome.REGRESSED, 0.05))
    (line,) = github.render(report).splitlines()
    assert line.startswith("::error file=benchmarks/test_a.py,line=12,title=perfsuite%3A regressed::")


def test_there_are_ten_annotations_at_most_with_the_worst_first() -> None:
    lines = github.render(many_regressed(25)).splitlines()
    assert len(lines) == 10
    assert "+16 more" in lines[-1]
    assert "test_24" in lines[0]


def test_an_unfit_machine_is_a_warning() -> None:
    gate = replace(many_regressed_gate(0), unfit=("test_a.py::t",))
    assert github.render(report_gate(gate)).splitlines() == [
        "::warning title=perfsuite gate::machine unfit: base differs from base; no time was judged"
    ]


def test_what_is_unclear_is_a_warning_with_the_step_that_the_report_advises() -> None:
    gate = make_gate(make_workload("t", Outcome.UNCLEAR), make_workload("u", Outcome.ERROR))
    report = report_gate(gate)
    warning = github.render(report).splitlines()[-1]
    assert report.unclear_step == report.first_steps[-1]
    assert warning == f"::warning title=perfsuite gate::{report.unclear_step}"
    unfit = github.render(report_gate(replace(gate, unfit=("t",))))
    assert "::1 unclear; see the summary\n" in unfit


def test_a_verdict_without_a_number_leaves_no_gap() -> None:
    missing = Verdict("test_a.py::t", "time", Outcome.MISSING, "base has it")
    report = make_gate_report(WorkloadGateResult("test_a.py::t", (missing,)))
    (line,) = github.render(report).splitlines()
    assert line == "::error title=perfsuite%3A missing::test_a.py::t: time base has it"


def test_a_hostile_name_stays_within_one_line() -> None:
    text = github.render(make_gate_report(make_workload(HOSTILE_NAME, Outcome.REGRESSED, 0.05)))
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text


def test_a_comparison_is_annotated_without_a_place() -> None:
    report = make_comparison([make_verdict("t", Outcome.REGRESSED, 0.1), make_verdict("u", Outcome.UNCLEAR)])
    error, warning = github.render(report).splitlines()
    assert error.startswith("::error title=perfsuite%3A regressed::t: time +10.0 %")
    assert warning == "::warning title=Stored runs::1 unclear; see the summary"


def is_workflow_command(line: str) -> bool:
    """Whether GitHub's runner executes the line."""
    return line.lstrip().startswith("::") or "##[" in line


@pytest.mark.parametrize(
    "line", ["::error::x", "   ::add-mask::x", "\t::stop-commands::x", "a ##[add-mask]x", "##[group]::"]
)
def test_a_workflow_command_in_printed_text_is_disarmed(line: str) -> None:
    assert is_workflow_command(line)
    text = github.disarm_commands(f"before\n{line}\nafter::x")
    assert not any(is_workflow_command(each) for each in text.splitlines())
    assert text.startswith("before\n")
    assert text.endswith("\nafter::x")
