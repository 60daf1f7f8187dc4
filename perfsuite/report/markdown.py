"""Verdicts as Markdown for a pull request: short, the worst first, what was kept folded away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.report.order import change, printable, span, tally, worst_first

MOST_ROWS = 200  # a comment may hold 64 KiB
_SAFE = frozenset(" .,:;%+-/()'=?")
_HEAD = "| outcome | workload | change | interval | why |\n|---|---|--:|---|---|"


def render(verdicts: Sequence[Verdict], title: str, warnings: Iterable[str] = ()) -> str:
    """A whole comment or step summary."""
    found = [each for each in worst_first(verdicts) if each.outcome is not Outcome.KEPT]
    kept = [each for each in worst_first(verdicts) if each.outcome is Outcome.KEPT]
    parts = [f"### {escaped(title)}", f"**{tally(verdicts)}**"]
    if found:
        parts.append(_table(found))
    parts += [f"> {escaped(each)}" for each in warnings]
    if kept:
        parts.append(f"<details><summary>{len(kept)} kept</summary>\n\n{_table(kept)}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown, a table cell, HTML and GitHub's mentions leave alone.

    >>> escaped("a|b <b> @team `x`")
    'a&#124;b &#60;b&#62; @<!-- -->team &#96;x&#96;'
    """
    return "".join(_harmless(each) for each in printable(text)).replace("&#64;", "@<!-- -->")


def _harmless(character: str) -> str:
    return character if character.isalnum() or character in _SAFE else f"&#{ord(character)};"


def _table(verdicts: Sequence[Verdict]) -> str:
    rows = [_row(each) for each in verdicts[:MOST_ROWS]]
    if len(verdicts) > MOST_ROWS:
        rows.append(f"| | and {len(verdicts) - MOST_ROWS} more | | | |")
    return "\n".join([_HEAD, *rows])


def _row(verdict: Verdict) -> str:
    metric = "" if verdict.metric == "time" else f" {escaped(verdict.metric)}"
    workload = "".join(_harmless(each) for each in printable(verdict.workload))
    cells = (
        verdict.outcome.value if verdict.outcome is Outcome.KEPT else f"**{verdict.outcome}**",
        f"<code>{workload}</code>{metric}",
        change(verdict.estimate),
        span(verdict),
        escaped(verdict.reason),
    )
    return f"| {' | '.join(cells)} |"
