"""Text that all report formats share: counts, changes, intervals, and escaped control characters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite

from perfsuite.judge.verdict import Verdict, count_by_outcome

_CODE = re.compile(r"`([^`\n]+)`")


def format_outcome_counts(verdicts: Iterable[Verdict]) -> str:
    """Count the verdicts of each outcome, the worst first.

    >>> from perfsuite.judge.verdict import Outcome
    >>> kept, missing = Verdict("a", "time", Outcome.KEPT, ""), Verdict("b", "time", Outcome.MISSING, "")
    >>> format_outcome_counts([kept, missing])
    '1 missing, 1 kept'
    """
    counts = count_by_outcome(verdicts)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "nothing compared"


def format_change(ratio_less_one: float | None) -> str:
    """Format a change as a percentage, or as a factor where it doubles or more.

    >>> format_change(0.0312), format_change(-0.5), format_change(2.0), format_change(None)
    ('+3.1 %', '-50.0 %', '3.0 x', '')
    """
    if ratio_less_one is None:
        return ""
    if not isfinite(ratio_less_one):
        return "any"
    return (
        f"{1 + ratio_less_one:,.1f} x" if ratio_less_one >= 1 else f"{ratio_less_one:+.1%}".replace("%", " %")
    )


def format_interval(verdict: Verdict) -> str:
    """Format the interval of a change; empty where there is none.

    >>> from perfsuite.judge.verdict import Interval, Outcome
    >>> format_interval(Verdict("a", "time", Outcome.KEPT, "", interval=Interval(-0.01, 0.02, 0.99)))
    '-1.0 % to +2.0 %'
    """
    if verdict.interval is None:
        return ""
    return f"{format_change(verdict.interval.low)} to {format_change(verdict.interval.high)}"


def split_code(text: str) -> list[str]:
    """Split a sentence at its `code`: every second part is what stands between two backticks.

    >>> split_code("run `perfsuite doctor` first")
    ['run ', 'perfsuite doctor', ' first']
    """
    return _CODE.split(text)


def escape_control_characters(text: str) -> str:
    r"""Replace what is not printable by its escape, so that no text can control a terminal.

    >>> escape_control_characters("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    """
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def escape_lines(text: str) -> str:
    r"""Escape control characters but keep the line breaks.

    >>> escape_lines("a\x1b[31mb\nc")
    'a\\x1b[31mb\nc'
    """
    return "\n".join(escape_control_characters(line) for line in text.splitlines())
