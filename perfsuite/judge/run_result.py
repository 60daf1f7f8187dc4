"""A measurement and what was judged of it: raw and judged are two types."""

from __future__ import annotations

from dataclasses import dataclass

from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.measurement import Measurement


@dataclass(frozen=True, slots=True)
class WorkloadRunResult:
    measurement: Measurement
    limits: tuple[Verdict, ...] = ()
    changes: tuple[Verdict, ...] = ()  # against a stored run or baseline: the time, and each counter

    @property
    def time_change(self) -> Verdict | None:
        return next((verdict for verdict in self.changes if verdict.metric == "time"), None)

    @property
    def outcome(self) -> Outcome | None:
        """The worst of what was judged; None where nothing was."""
        seen = {verdict.outcome for verdict in (*self.limits, *self.changes)}
        return next((outcome for outcome in _WORST_FIRST if outcome in seen), None)


_WORST_FIRST = (
    Outcome.ERROR,
    Outcome.BROKEN,
    Outcome.REGRESSED,
    Outcome.MISSING,
    Outcome.UNCLEAR,
    Outcome.QUARANTINED,
    Outcome.NEW,
    Outcome.IMPROVED,
    Outcome.KEPT,
)
