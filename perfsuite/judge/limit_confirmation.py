"""A limit that looks broken is measured again after a pause, so that a neighbor of seconds breaks none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from perfsuite.judge.verdict import Outcome, Verdict

# A limit is broken where the first measurement and as many later ones say so.
CONFIRMATIONS = 2
LONGEST_PAUSE_SECONDS = 5.0


def pause_seconds(max_seconds: float) -> float:
    """The pause before a measurement that may take `max_seconds` is repeated."""
    return min(LONGEST_PAUSE_SECONDS, max_seconds / 2)


def confirm_broken(verdicts: Sequence[Verdict], again: Mapping[str, Verdict]) -> list[Verdict]:
    """Make unclear what was broken and is not in a later measurement; its verdicts are by metric.

    >>> broken = Verdict("t", "p50", Outcome.BROKEN, "p50 of 5 ms is above the ceiling of 4 ms")
    >>> kept = replace(broken, outcome=Outcome.KEPT, reason="p50 of 3 ms")
    >>> [unclear] = confirm_broken([broken], {"p50": kept})
    >>> print(unclear.outcome, "-", unclear.reason)
    unclear - p50 of 5 ms is above the ceiling of 4 ms, but a moment later: p50 of 3 ms
    """
    return [
        replace(
            verdict,
            outcome=Outcome.UNCLEAR,
            reason=f"{verdict.reason}, but a moment later: {again[verdict.metric].reason}",
        )
        if _is_refuted(verdict, again)
        else verdict
        for verdict in verdicts
    ]


def _is_refuted(verdict: Verdict, again: Mapping[str, Verdict]) -> bool:
    later = again.get(verdict.metric)
    return verdict.outcome is Outcome.BROKEN and later is not None and later.outcome is not Outcome.BROKEN
