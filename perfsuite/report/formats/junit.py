"""JUnit XML: a test case for each workload, a failure for each that regressed or broke a limit."""

from __future__ import annotations

from xml.etree import ElementTree

from perfsuite.judge.gate_report import WorkloadGateResult
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.report.formats.report_format import ReportFormat
from perfsuite.report.report import Report
from perfsuite.report.text import escape_control_characters, escape_lines, format_change, format_interval

FAILURES = frozenset({Outcome.REGRESSED, Outcome.BROKEN})
ERRORS = frozenset({Outcome.ERROR, Outcome.MISSING, Outcome.UNCLEAR})  # not green, and not a regression
SKIPPED = frozenset({Outcome.QUARANTINED, Outcome.NEW, Outcome.VARIES})


def render(report: Report) -> str:
    """Render the document."""
    outcomes = [workload.outcome for workload in report.workloads]
    suite = ElementTree.Element(
        "testsuite",
        name=report.title,
        tests=str(len(report.workloads) + len(report.skipped)),
        failures=str(sum(outcome in FAILURES for outcome in outcomes)),
        errors=str(sum(outcome in ERRORS for outcome in outcomes)),
        skipped=str(sum(outcome in SKIPPED for outcome in outcomes) + len(report.skipped)),
        time=f"{report.seconds:.3f}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in report.properties.items():
        ElementTree.SubElement(properties, "property", name=name, value=escape_control_characters(value))
    for workload in report.workloads:
        _add_workload(suite, workload)
    for name, reason in sorted(report.skipped.items()):
        case = _add_case(suite, name)
        ElementTree.SubElement(case, "skipped", message=escape_control_characters(reason))
    summary = [*(str(side) for side in report.sides), *report.closing]
    ElementTree.SubElement(suite, "system-out").text = escape_lines("\n".join(summary))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _add_case(suite: ElementTree.Element, name: str, file: str = "", line: int = 0) -> ElementTree.Element:
    module, _, test = escape_control_characters(name).partition("::")
    attributes = {"classname": module, "name": test or module}
    attributes |= {"file": escape_control_characters(file), "line": str(line)} if file else {}
    return ElementTree.SubElement(suite, "testcase", attributes)


def _add_workload(suite: ElementTree.Element, workload: WorkloadGateResult) -> None:
    case = _add_case(suite, workload.name, workload.file, workload.line)
    if workload.seconds_per_call:
        case.set("time", f"{workload.seconds_per_call[1]:.9f}")
    deciding = [verdict for verdict in workload.verdicts if verdict.outcome is workload.outcome]
    message = "; ".join(f"{verdict.metric}: {verdict.explanation}" for verdict in deciding)
    for tag, outcomes in (("failure", FAILURES), ("error", ERRORS), ("skipped", SKIPPED)):
        if workload.outcome in outcomes:
            element = ElementTree.SubElement(
                case, tag, message=escape_control_characters(message), type=workload.outcome.value
            )
            element.text = escape_lines("\n".join(_describe(verdict) for verdict in workload.verdicts))


def _describe(verdict: Verdict) -> str:
    interval = f"({format_interval(verdict)})" if verdict.interval else ""
    subject, change = f"{verdict.outcome} {verdict.metric}", format_change(verdict.estimate)
    parts = (subject, change, interval, verdict.explanation)
    return " ".join(part for part in parts if part)


FORMAT = ReportFormat(render, ".xml")
