"""A gate as Markdown that fits a pull-request comment."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.judge.gated import Gated, GateReport
from perfsuite.judge.verdict import Outcome
from perfsuite.report.gate_terminal import closing, notes
from perfsuite.report.markdown import escaped
from perfsuite.report.order import change, printable, span

MOST_BYTES = 64 * 1024
MARKER = "<!-- perfsuite gate -->"  # lets a later run find and replace its comment
_HEAD = "| outcome | benchmark | change | interval | would see | why |\n|---|---|--:|---|--:|---|"


def render(report: GateReport) -> str:
    """The whole gate; rows are left out, and counted, until it fits."""
    rows = _most_rows(report)
    while rows:
        text = _render(report, rows)
        if len(text.encode()) <= MOST_BYTES:
            return text
        rows = rows * 3 // 4
    return _render(report, 0)[: MOST_BYTES // 4]


def _most_rows(report: GateReport) -> int:
    return max(1, len(report.verdicts))


def _render(report: GateReport, most: int) -> str:
    found = [each for each in report.worst_first if each.outcome is not Outcome.KEPT]
    kept = [each for each in report.worst_first if each.outcome is Outcome.KEPT]
    base, head = report.base, report.head
    parts = [
        MARKER,
        f"### perfsuite gate: {escaped(report.headline)}",
        f"base <code>{base.commit[:12]}</code> {escaped(base.label)} ({escaped(base.subject)}), "
        f"head <code>{head.commit[:12]}</code> {escaped(head.label)} ({escaped(head.subject)})",
    ]
    if found:
        parts.append(_table(found, most))
    parts += [f"> {escaped(note)}" for note in notes(report)[:20]]
    if kept:
        room = max(0, most - len(found))
        parts.append(f"<details><summary>{len(kept)} kept</summary>\n\n{_table(kept, room)}\n\n</details>")
    parts += [escaped(line) for line in closing(report)[1:3]]
    facts = ", ".join(f"{key} {value}" for key, value in report.environment.hard.items())
    parts.append(f"<sub>{escaped(facts)}; environment {report.environment.fingerprint}</sub>")
    parts.append(f"```\n{printable(report.command).replace('```', '')}\n```")
    return "\n\n".join(parts) + "\n"


def _table(workloads: Sequence[Gated], most: int) -> str:
    rows = [row for each in workloads for row in _rows(each)]
    shown = rows[:most]
    if len(rows) > len(shown):
        shown.append(f"| | and {len(rows) - most} more | | | | |")
    return "\n".join([_HEAD, *shown])


def _rows(found: Gated) -> list[str]:
    rows = []
    for verdict in found.verdicts:
        if verdict.outcome is Outcome.KEPT and found.outcome is not Outcome.KEPT:
            continue
        stage = f"; stage {found.moved_stage}" if verdict.metric == "time" and found.moved_stage else ""
        metric = "" if verdict.metric == "time" else f" {escaped(verdict.metric)}"
        cells = (
            verdict.outcome.value if verdict.outcome is Outcome.KEPT else f"**{verdict.outcome}**",
            f"<code>{escaped(verdict.workload)}</code>{metric}",
            change(verdict.estimate),
            span(verdict),
            "" if verdict.mde is None else change(verdict.mde),
            escaped(verdict.reason + stage),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows
