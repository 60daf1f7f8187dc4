"""GitHub Actions: workflow commands that annotate a test's file and line, and step outputs.

The runner executes every line that begins with `::`, after any spaces, and `##[` anywhere in a line.
https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
"""

from __future__ import annotations

import re

from perfsuite.judge.gate_report import WorkloadGateResult
from perfsuite.judge.verdict import Outcome
from perfsuite.report.formats.report_format import ReportFormat
from perfsuite.report.report import Report
from perfsuite.report.text import escape_control_characters, escape_lines, format_change

MAX_ANNOTATIONS = 10  # GitHub shows no more of a kind for one step
_COMMAND = re.compile(r"^(?P<indent>\s*)(?=::)|(?<=##)(?=\[)", re.MULTILINE)


def render(report: Report) -> str:
    """Workflow commands, the worst first; the last one counts what does not fit."""
    red = [each for each in report.workloads if any(verdict.is_red for verdict in each.verdicts)]
    annotated = red if len(red) <= MAX_ANNOTATIONS else red[: MAX_ANNOTATIONS - 1]
    title = _escape_property(report.title)
    lines = [_error_annotation(workload) for workload in annotated]
    if len(red) > len(annotated):
        lines.append(f"::error title={title}::+{len(red) - len(annotated)} more; see the summary")
    if unclear := report.count(Outcome.UNCLEAR):
        message = report.unclear_step or f"{unclear} unclear; see the summary"
        lines.append(f"::warning title={title}::{_escape_message(message)}")
    if report.unfit:
        lines.append(f"::warning title={title}::machine unfit: base differs from base; no time was judged")
    return "".join(f"{line}\n" for line in lines)


def _error_annotation(workload: WorkloadGateResult) -> str:
    worst = workload.worst
    location = (
        f"file={_escape_property(workload.file)},line={max(1, workload.line)}," if workload.file else ""
    )
    stage = f"(stage {workload.attributed_stage})" if workload.attributed_stage else ""
    parts = (f"{workload.name}: {worst.metric}", format_change(worst.estimate), worst.explanation, stage)
    message = _escape_message(" ".join(part for part in parts if part))
    return f"::error {location}title={_escape_property(f'perfsuite: {worst.outcome}')}::{message}"


def render_outputs(report: Report) -> str:
    """Render the lines for the file that `$GITHUB_OUTPUT` names."""
    counts = {outcome.value: report.count(outcome) for outcome in Outcome}
    outputs = {
        "exit-code": report.exit_code,
        "headline": escape_control_characters(report.headline),
        **counts,
    }
    return "".join(f"{name}={value}\n" for name, value in outputs.items())


def disarm_commands(text: str) -> str:
    r"""Mark what the runner would take for a workflow command with a backslash; leave the rest as it is.

    A name can begin a line by being wrapped there. Indented lines keep their width.

    >>> disarm_commands("fine::as it is\n  ::error::x\n::stop-commands::y\na ##[add-mask]z")
    'fine::as it is\n \\::error::x\n\\::stop-commands::y\na ##\\[add-mask]z'
    """
    return _COMMAND.sub(lambda match: f"{(match['indent'] or '')[:-1]}\\", text)


def _escape_message(text: str) -> str:
    """Escape the message of a workflow command.

    >>> _escape_message("50 %\\nmore")
    '50 %25%0Amore'
    """
    return escape_lines(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_message(text).replace(":", "%3A").replace(",", "%2C")


FORMAT = ReportFormat(render)
