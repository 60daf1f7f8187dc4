"""JSON: every number, and JSON that every parser reads."""

from __future__ import annotations

import json

import pytest

from perfsuite.judge.verdict import Interval, Outcome, Verdict
from perfsuite.report.formats import json as json_format
from tests.report.sample_reports import all_outcomes, make_comparison, make_verdict


def test_a_comparison_has_its_exit_code_warnings_and_all_verdicts_worst_first() -> None:
    verdicts = [make_verdict(f"test_{outcome}", outcome) for outcome in Outcome]
    report = make_comparison(verdicts, warnings=["w"])
    value = json.loads(json_format.render(report))
    assert value["exit_code"] == 1
    assert value["warnings"] == ["w"]
    assert len(value["verdicts"]) == len(Outcome)
    assert value["verdicts"][0]["outcome"] == "regressed"


def test_a_number_that_is_not_finite_is_null() -> None:
    unbounded = Verdict("t", "time", Outcome.UNCLEAR, "r", float("inf"), Interval(-1, float("inf"), 0.99))
    text = json_format.render(make_comparison([unbounded]))
    (verdict,) = json.loads(text, parse_constant=pytest.fail)["verdicts"]
    assert verdict["estimate"] is None
    assert verdict["interval"] == {"low": -1, "high": None, "level": 0.99}


def test_a_gate_has_every_number() -> None:
    value = json.loads(json_format.render(all_outcomes()))
    assert value["exit_code"] == 1
    assert value["alpha"] == 0.01
    assert value["outcomes"]["test_a.py::test_regressed"] == "regressed"
    workload = next(each for each in value["workloads"] if each["name"] == "test_a.py::test_regressed")
    assert len(workload["log_ratios"]) == 18
    assert value["attributed_stages"]["test_a.py::test_regressed"] == "decode"


def test_gate_and_comparison_share_the_keys_that_a_reader_needs() -> None:
    gate = json.loads(json_format.render(all_outcomes()))
    comparison = json.loads(json_format.render(make_comparison([])))
    shared = {"schema", "headline", "exit_code", "alpha", "outcomes", "verdicts"}
    assert shared <= set(gate) & set(comparison)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_dump_json_replaces_what_is_not_finite_at_any_depth(number: float) -> None:
    text = json_format.dump_json({"a": [number, {"b": (number, 1.5)}], 3: number})
    assert json.loads(text, parse_constant=pytest.fail) == {"a": [None, {"b": [None, 1.5]}], "3": None}


def test_dump_json_has_no_workflow_command_and_loses_no_character() -> None:
    text = json_format.dump_json(["##[add-mask]x", "[##["])
    assert "##[" not in text
    assert json.loads(text) == ["##[add-mask]x", "[##["]
