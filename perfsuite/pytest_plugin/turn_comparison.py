"""Judge the ratios of workloads that were measured in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from perfsuite.judge.limits import Limit, judge_limit
from perfsuite.judge.metrics import (
    MetricEstimate,
    estimate_overhead,
    estimate_overhead_share,
    estimate_ratio,
)
from perfsuite.judge.verdict import Verdict
from perfsuite.measure.measurement import Measurement
from perfsuite.measure.turns import TurnSamples, paired_ratios
from perfsuite.measure.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnComparison:
    """Workloads that are measured in turns: a candidate, and those that it is compared with."""

    candidate: Workload
    references: tuple[Workload, ...]
    workloads: tuple[Workload, ...]  # all of them, in the order of the call

    def judge_ratios(
        self, limits: Sequence[Limit], seconds: Mapping[str, Sequence[float]], level: float
    ) -> list[Verdict]:
        """Judge every ratio limit against each reference; the comparisons share the chance of error."""
        candidate, shared = self.candidate.name, 1 - (1 - level) / len(self.references)
        return [
            replace(
                judge_limit(
                    limit,
                    _ratio_estimate(limit.metric, seconds, candidate, reference.name, shared),
                    candidate,
                ),
                reference=reference.name,
            )
            for limit in limits
            if limit.is_of_ratio
            for reference in self.references
        ]


def _ratio_estimate(
    metric: str, seconds: Mapping[str, Sequence[float]], candidate: str, reference: str, level: float
) -> MetricEstimate:
    if metric == "overhead":
        return estimate_overhead(paired_ratios(seconds, candidate, reference), level)
    if metric == "overhead_share":
        return estimate_overhead_share(paired_ratios(seconds, candidate, reference), level)
    return estimate_ratio(paired_ratios(seconds, reference, candidate), level)


def measurement_from_turns(workload: Workload, turns: TurnSamples) -> Measurement:
    items = workload.items_per_call
    return Measurement(
        workload.name,
        tuple(seconds * items for seconds in turns.seconds_per_item[workload.name]),
        calls_per_round=turns.calls_per_turn[workload.name],
        items_per_call=items,
        unit=workload.unit,
    )
