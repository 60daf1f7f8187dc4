"""What GitHub reads: annotations at a test's file and line, the step summary, outputs."""

from __future__ import annotations

from perfsuite.judge.reports import GateReport, WorkloadGateResult
from perfsuite.judge.verdict import Outcome
from perfsuite.report.text import escape_control_characters, format_change

MAX_ANNOTATIONS = 10  # GitHub shows no more of a kind for one step


def workflow_commands(report: GateReport) -> list[str]:
    """Workflow commands, the worst first; what does not fit is counted in the last one."""
    red = [found for found in report.worst_first if any(verdict.is_red for verdict in found.verdicts)]
    shown = red if len(red) <= MAX_ANNOTATIONS else red[: MAX_ANNOTATIONS - 1]
    lines = [_error_annotation(found) for found in shown]
    if len(red) > len(shown):
        lines.append(f"::error title=perfsuite gate::+{len(red) - len(shown)} more; see the summary")
    unclear = report.count(Outcome.UNCLEAR)
    if unclear:
        lines.append(f"::warning title=perfsuite gate::{unclear} unclear; see the summary")
    if report.unfit:
        lines.append(
            "::warning title=perfsuite gate::machine unfit: base differs from base; no time was judged"
        )
    return lines


def _error_annotation(found: WorkloadGateResult) -> str:
    worst = found.worst
    where = f"file={_escape_property(found.file)},line={max(1, found.line)}," if found.file else ""
    stage = f"(stage {found.attributed_stage})" if found.attributed_stage else ""
    words = (f"{found.name}: {worst.metric}", format_change(worst.estimate), worst.reason, stage)
    text = " ".join(word for word in words if word)
    return f"::error {where}title={_escape_property(f'perfsuite: {worst.outcome}')}::{_escape_message(text)}"


def render_outputs(report: GateReport) -> str:
    """Lines for $GITHUB_OUTPUT."""
    counts = {outcome.value: report.count(outcome) for outcome in Outcome}
    told = {"exit-code": report.exit_code, "headline": escape_control_characters(report.headline), **counts}
    return "".join(f"{name}={value}\n" for name, value in told.items())


def _escape_message(text: str) -> str:
    """Text as workflow commands want it.

    >>> _escape_message("50 %\\nmore")
    '50 %25%0Amore'
    """
    clean = "\n".join(escape_control_characters(line) for line in text.splitlines())
    return clean.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_message(text).replace(":", "%3A").replace(",", "%2C")
