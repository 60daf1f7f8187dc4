"""A gate as JUnit XML: a test case for each benchmark, a failure for each that regressed."""

from __future__ import annotations

from xml.etree import ElementTree

from perfsuite.judge.reports import GateReport, WorkloadGateResult
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.report.terminal.gate import closing_lines
from perfsuite.report.text import escape_control_characters, format_change, format_interval

FAILURES = frozenset({Outcome.REGRESSED, Outcome.BROKEN})
ERRORS = frozenset({Outcome.ERROR, Outcome.MISSING, Outcome.UNCLEAR})  # not green, and not a regression
SKIPPED = frozenset({Outcome.QUARANTINED, Outcome.NEW})


def render(report: GateReport) -> str:
    """The document as text."""
    worst = [workload.outcome for workload in report.workloads]
    suite = ElementTree.Element(
        "testsuite",
        name="perfsuite gate",
        tests=str(len(report.workloads) + len(report.skipped)),
        failures=str(sum(outcome in FAILURES for outcome in worst)),
        errors=str(sum(outcome in ERRORS for outcome in worst)),
        skipped=str(sum(outcome in SKIPPED for outcome in worst) + len(report.skipped)),
        time=f"{report.seconds:.3f}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (
        ("base", report.base.commit),
        ("head", report.head.commit),
        ("alpha", f"{report.alpha:g}"),
        ("environment", report.environment.fingerprint),
        ("command", report.command),
    ):
        ElementTree.SubElement(properties, "property", name=name, value=escape_control_characters(value))
    for found in report.worst_first:
        _add_case(suite, found)
    for name, reason in sorted(report.skipped.items()):
        case = _case(suite, name)
        ElementTree.SubElement(case, "skipped", message=escape_control_characters(reason))
    ElementTree.SubElement(suite, "system-out").text = escape_lines("\n".join(closing_lines(report)))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def escape_lines(text: str) -> str:
    return "\n".join(escape_control_characters(line) for line in text.splitlines())


def _case(suite: ElementTree.Element, name: str, file: str = "", line: int = 0) -> ElementTree.Element:
    module, _, test = escape_control_characters(name).partition("::")
    facts = {"classname": module, "name": test or module}
    facts |= {"file": escape_control_characters(file), "line": str(line)} if file else {}
    return ElementTree.SubElement(suite, "testcase", facts)


def _add_case(suite: ElementTree.Element, found: WorkloadGateResult) -> None:
    case = _case(suite, found.name, found.file, found.line)
    if found.seconds_per_call:
        case.set("time", f"{found.seconds_per_call[1]:.9f}")
    told = [verdict for verdict in found.verdicts if verdict.outcome is found.outcome]
    message = "; ".join(f"{verdict.metric}: {verdict.reason}" for verdict in told)
    text = "\n".join(_line(verdict) for verdict in found.verdicts)
    for tag, outcomes in (("failure", FAILURES), ("error", ERRORS), ("skipped", SKIPPED)):
        if found.outcome in outcomes:
            inside = ElementTree.SubElement(
                case, tag, message=escape_control_characters(message), type=found.outcome.value
            )
            inside.text = escape_lines(text)


def _line(verdict: Verdict) -> str:
    interval = f"({format_interval(verdict)})" if verdict.interval else ""
    words = (f"{verdict.outcome} {verdict.metric}", format_change(verdict.estimate), interval, verdict.reason)
    return " ".join(word for word in words if word)
