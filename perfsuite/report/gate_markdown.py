"""A gate as Markdown that fits a pull-request comment."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.judge.reports import GateReport, WorkloadGateResult
from perfsuite.judge.verdict import Outcome
from perfsuite.report.markdown import escape_markdown
from perfsuite.report.terminal.gate import closing_lines, note_lines
from perfsuite.report.text import escape_control_characters, format_change, format_interval

MAX_BYTES = 64 * 1024
COMMENT_MARKER = "<!-- perfsuite gate -->"  # lets a later run find and replace its comment
_TABLE_HEADER = "| outcome | benchmark | change | interval | would see | why |\n|---|---|--:|---|--:|---|"


def render(report: GateReport) -> str:
    """The whole gate; rows are left out, and counted, until it fits."""
    rows = _row_count(report)
    while rows:
        text = _render_rows(report, rows)
        if len(text.encode()) <= MAX_BYTES:
            return text
        rows = rows * 3 // 4
    return _render_rows(report, 0)[: MAX_BYTES // 4]


def _row_count(report: GateReport) -> int:
    return max(1, len(report.verdicts))


def _render_rows(report: GateReport, most: int) -> str:
    found = [each for each in report.worst_first if each.outcome is not Outcome.KEPT]
    kept = [each for each in report.worst_first if each.outcome is Outcome.KEPT]
    base, head = report.base, report.head
    parts = [
        COMMENT_MARKER,
        f"### perfsuite gate: {escape_markdown(report.headline)}",
        f"base <code>{base.commit[:12]}</code> {escape_markdown(base.label)} "
        f"({escape_markdown(base.subject)}), "
        f"head <code>{head.commit[:12]}</code> {escape_markdown(head.label)} "
        f"({escape_markdown(head.subject)})",
    ]
    if found:
        parts.append(_table(found, most))
    parts += [f"> {escape_markdown(note)}" for note in note_lines(report)[:20]]
    if kept:
        room = max(0, most - len(found))
        parts.append(f"<details><summary>{len(kept)} kept</summary>\n\n{_table(kept, room)}\n\n</details>")
    parts += [escape_markdown(line) for line in closing_lines(report)[1:3]]
    facts = ", ".join(f"{key} {value}" for key, value in report.environment.hard.items())
    parts.append(f"<sub>{escape_markdown(facts)}; environment {report.environment.fingerprint}</sub>")
    parts.append(f"```\n{escape_control_characters(report.command).replace('```', '')}\n```")
    return "\n\n".join(parts) + "\n"


def _table(workloads: Sequence[WorkloadGateResult], most: int) -> str:
    rows = [row for each in workloads for row in _rows(each)]
    shown = rows[:most]
    if len(rows) > len(shown):
        shown.append(f"| | and {len(rows) - most} more | | | | |")
    return "\n".join([_TABLE_HEADER, *shown])


def _rows(found: WorkloadGateResult) -> list[str]:
    rows = []
    for verdict in found.verdicts:
        if verdict.outcome is Outcome.KEPT and found.outcome is not Outcome.KEPT:
            continue
        stage = (
            f"; stage {found.attributed_stage}" if verdict.metric == "time" and found.attributed_stage else ""
        )
        metric = "" if verdict.metric == "time" else f" {escape_markdown(verdict.metric)}"
        cells = (
            verdict.outcome.value if verdict.outcome is Outcome.KEPT else f"**{verdict.outcome}**",
            f"<code>{escape_markdown(verdict.workload)}</code>{metric}",
            format_change(verdict.estimate),
            format_interval(verdict),
            "" if verdict.mde is None else format_change(verdict.mde),
            escape_markdown(verdict.reason + stage),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows
