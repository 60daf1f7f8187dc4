"""Markdown that fits a pull-request comment: the worst first, kept workloads folded."""

from __future__ import annotations

import re
from collections.abc import Sequence

from perfsuite.judge.gate_report import WorkloadGateResult
from perfsuite.judge.verdict import Outcome
from perfsuite.report.formats.report_format import ReportFormat
from perfsuite.report.report import Report, ReportSide
from perfsuite.report.text import escape_control_characters, format_change, format_interval
from perfsuite.report.workload_lines import format_seconds, reason_lines, time_verdict

MAX_BYTES = 63 * 1024  # GitHub refuses a comment of more than 64 KiB, and a workflow may add lines
MAX_NOTES = 20
_TABLE_HEADER = (
    "| outcome | workload | change | interval | base -> head | MDE | why |\n|---|---|--:|---|---|--:|---|"
)
_SAFE_CHARACTERS = frozenset(" .,:;%+-/()'=?")
# GitHub links mentions, issues and addresses in the rendered text, so that escaping their characters as
# entities is not enough: an empty comment inside each of them breaks it up.
_LINK_BREAK = "<!-- -->"
_INSIDE_A_LINK = re.compile(
    r"(?<=[@#])|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=mailto)(?=:)|(?<=xmpp)(?=:)|(?<=\bGH)(?=-)", re.IGNORECASE
)


def render(report: Report) -> str:
    """Render the report; rows are left out, and counted, until it fits a comment."""
    not_kept, kept = _rows(report.not_kept), _rows(report.kept)
    max_rows = max(1, len(not_kept) + len(kept))
    while max_rows:
        text = _assemble(report, not_kept, kept, max_rows)
        if len(text.encode()) <= MAX_BYTES:
            return text
        max_rows = max_rows * 3 // 4
    return _assemble(report, not_kept, kept, 0)[: MAX_BYTES // 4]  # a character has four bytes at most


def comment_marker(report: Report) -> str:
    """Return the invisible first line, by which a later run finds the comment that it replaces."""
    return f"<!-- perfsuite {report.file_stem} -->"


def escape_markdown(text: str) -> str:
    """Escape text so that Markdown, a table cell, HTML and GitHub's own links leave it alone.

    >>> escape_markdown("a|b <b> @team `x`")
    'a&#124;b &#60;b&#62; @<!-- -->team &#96;x&#96;'
    >>> escape_markdown("fixes #1, see https://x.org")
    'fixes &#35;<!-- -->1, see https:<!-- -->//x.org'
    """
    parts = _INSIDE_A_LINK.split(escape_control_characters(text))
    return _LINK_BREAK.join("".join(_escape_character(each) for each in part) for part in parts)


def _escape_character(character: str) -> str:
    if character.isalnum() or character in _SAFE_CHARACTERS or character == "@":
        return character
    return f"&#{ord(character)};"


def _assemble(report: Report, not_kept: Sequence[str], kept: Sequence[str], max_rows: int) -> str:
    parts = [
        comment_marker(report),
        f"### {escape_markdown(f'{report.title}: {report.headline}')}",
    ]
    if report.sides:
        parts.append(", ".join(_describe_side(side) for side in report.sides))
    parts += ["\n".join(f"- first: {escape_markdown(step)}" for step in report.first_steps)]
    if not_kept:
        parts.append(_table(not_kept, max_rows))
    notes = report.all_notes
    parts += [f"> {escape_markdown(note)}" for note in notes[:MAX_NOTES]]
    parts += [f"> and {len(notes) - MAX_NOTES} more notes"] * (len(notes) > MAX_NOTES)
    if kept:
        table = _table(kept, max(0, max_rows - len(not_kept)))
        parts.append(f"<details><summary>{len(report.kept)} kept</summary>\n\n{table}\n\n</details>")
    parts += [escape_markdown(line) for line in report.certainty]
    if report.environment is not None:
        facts = ", ".join(f"{key} {value}" for key, value in report.environment.hard.items())
        parts.append(f"<sub>{escape_markdown(facts)}; environment {report.environment.fingerprint}</sub>")
    if report.command:
        parts.append(f"```\n{escape_control_characters(report.command).replace('```', '')}\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def _describe_side(side: ReportSide) -> str:
    commit = f"<code>{escape_markdown(side.commit)}</code>" if side.commit else ""
    subject = f"({escape_markdown(side.subject)})" if side.subject else ""
    parts = (escape_markdown(side.name), commit, escape_markdown(side.description), subject)
    return " ".join(part for part in parts if part)


def _table(rows: Sequence[str], max_rows: int) -> str:
    left_out = len(rows) - max_rows
    more = [f"| | and {left_out} more | | | | | |"] * (left_out > 0)
    return "\n".join([_TABLE_HEADER, *rows[:max_rows], *more])


def _rows(workloads: Sequence[WorkloadGateResult]) -> list[str]:
    return [_row(workload) for workload in workloads]


def _row(workload: WorkloadGateResult) -> str:
    """One row; the counters of a workload stand under the reason of its time."""
    time, is_kept = time_verdict(workload), workload.outcome is Outcome.KEPT
    stage = [f"stage {workload.attributed_stage}"] if workload.attributed_stage else []
    lines = (*reason_lines(workload, show_kept=is_kept), *stage)
    shown = workload.worst if time is None else time
    cells = (
        workload.outcome.value if is_kept else f"**{workload.outcome}**",
        f"<code>{escape_markdown(workload.name)}</code>",
        format_change(shown.estimate),
        format_interval(shown),
        escape_markdown(format_seconds(workload)),
        "" if shown.mde is None else format_change(shown.mde),
        "<br>".join(map(escape_markdown, lines)),
    )
    return f"| {' | '.join(cells)} |"


FORMAT = ReportFormat(render, ".md")
