"""JUnit XML, as continuous integration servers count it."""

from __future__ import annotations

from xml.etree import ElementTree

from perfsuite.judge.gate_report import WorkloadGateResult
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.report.formats import junit
from tests.report.sample_reports import all_outcomes, make_comparison, make_gate_report, make_verdict


def test_each_regressed_workload_is_a_failure_and_each_unjudged_one_an_error() -> None:
    suite = ElementTree.fromstring(junit.render(all_outcomes()))  # noqa: S314 - rendered above
    failed = {case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None}
    assert {"test_regressed", "test_broken"} <= failed
    assert suite.get("failures") == str(len(failed)) == "3"
    errors = {case.get("name") for case in suite.iter("testcase") if case.find("error") is not None}
    assert errors == {"test_error", "test_missing", "test_unclear"}
    assert int(suite.get("tests", 0)) == len(list(suite.iter("testcase")))


def test_a_verdict_without_a_number_leaves_no_gap() -> None:
    missing = Verdict("test_a.py::t", "time", Outcome.MISSING, "base has it")
    text = junit.render(make_gate_report(WorkloadGateResult("test_a.py::t", (missing,))))
    assert ">missing time base has it<" in text


def test_a_comparison_of_stored_runs_is_a_suite_too() -> None:
    verdicts = [make_verdict("t.py::a", Outcome.REGRESSED), make_verdict("t.py::b", Outcome.KEPT)]
    suite = ElementTree.fromstring(junit.render(make_comparison(verdicts)))  # noqa: S314 - rendered here
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("Stored runs", "2", "1")
