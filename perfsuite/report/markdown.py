"""Verdicts as Markdown for a pull request: short, the worst first, what was kept folded away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perfsuite.judge.verdict import Outcome, Verdict, sort_by_severity
from perfsuite.report.text import (
    escape_control_characters,
    format_change,
    format_interval,
    format_outcome_counts,
)

MAX_ROWS = 200  # a comment may hold 64 KiB
_SAFE_CHARACTERS = frozenset(" .,:;%+-/()'=?")
_TABLE_HEADER = "| outcome | workload | change | interval | why |\n|---|---|--:|---|---|"


def render(verdicts: Sequence[Verdict], title: str, warnings: Iterable[str] = ()) -> str:
    """A whole comment or step summary."""
    found = [each for each in sort_by_severity(verdicts) if each.outcome is not Outcome.KEPT]
    kept = [each for each in sort_by_severity(verdicts) if each.outcome is Outcome.KEPT]
    parts = [f"### {escape_markdown(title)}", f"**{format_outcome_counts(verdicts)}**"]
    if found:
        parts.append(_table(found))
    parts += [f"> {escape_markdown(each)}" for each in warnings]
    if kept:
        parts.append(f"<details><summary>{len(kept)} kept</summary>\n\n{_table(kept)}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def escape_markdown(text: str) -> str:
    """Text that Markdown, a table cell, HTML and GitHub's mentions leave alone.

    >>> escape_markdown("a|b <b> @team `x`")
    'a&#124;b &#60;b&#62; @<!-- -->team &#96;x&#96;'
    """
    return "".join(_escape_character(each) for each in escape_control_characters(text)).replace(
        "&#64;", "@<!-- -->"
    )


def _escape_character(character: str) -> str:
    return character if character.isalnum() or character in _SAFE_CHARACTERS else f"&#{ord(character)};"


def _table(verdicts: Sequence[Verdict]) -> str:
    rows = [_row(each) for each in verdicts[:MAX_ROWS]]
    if len(verdicts) > MAX_ROWS:
        rows.append(f"| | and {len(verdicts) - MAX_ROWS} more | | | |")
    return "\n".join([_TABLE_HEADER, *rows])


def _row(verdict: Verdict) -> str:
    metric = "" if verdict.metric == "time" else f" {escape_markdown(verdict.metric)}"
    workload = "".join(_escape_character(each) for each in escape_control_characters(verdict.workload))
    cells = (
        verdict.outcome.value if verdict.outcome is Outcome.KEPT else f"**{verdict.outcome}**",
        f"<code>{workload}</code>{metric}",
        format_change(verdict.estimate),
        format_interval(verdict),
        escape_markdown(verdict.reason),
    )
    return f"| {' | '.join(cells)} |"
