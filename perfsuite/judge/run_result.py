"""One workload's measurement together with its verdicts."""

from __future__ import annotations

from dataclasses import dataclass

from perfsuite.judge.verdict import Outcome, Verdict, worst
from perfsuite.measure.measurement import Measurement


@dataclass(frozen=True, slots=True)
class WorkloadRunResult:
    measurement: Measurement
    limits: tuple[Verdict, ...] = ()
    aims: tuple[Verdict, ...] = ()  # judged like limits, but they decide nothing
    changes: tuple[Verdict, ...] = ()  # against a stored run or baseline: the time, and each counter

    @property
    def time_change(self) -> Verdict | None:
        return next((verdict for verdict in self.changes if verdict.metric == "time"), None)

    @property
    def outcome(self) -> Outcome | None:
        """The worst outcome; None if nothing was judged."""
        verdicts = (*self.limits, *self.changes)
        return worst(verdicts).outcome if verdicts else None
