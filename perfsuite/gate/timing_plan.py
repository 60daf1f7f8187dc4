"""Which workloads the next pair times, so that as many as possible are decided within the time budget.

The choice depends on what pairs cost, on how many each workload has had and on which are decided. It does not
depend on the estimates of those that are undecided. The chance of a false alarm would be kept even if it did,
since the looks of the rule are fixed beforehand (docs/decisions/0024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge.sequential_rule import MIN_PAIRS_TO_KEEP, SequentialRule

SHARE_UNDECIDED = 0.25  # of workloads, that are expected to need more than the fewest pairs

Need = Callable[[WorkloadState], float]  # how many pairs a workload still needs


@dataclass(slots=True)
class PairCosts:
    """What a pair costs of the gate's time: estimated while counting, then measured by each pair."""

    start_seconds: float = 0.0  # until both processes have collected
    default_seconds: float = 0.0  # one workload that was not timed yet
    null_pair_seconds: float | None = None  # the latest null pair

    def of_workload(self, workload: WorkloadState) -> float:
        return self.default_seconds if workload.gate_seconds is None else workload.gate_seconds

    def of_null_pair(self, workloads: Collection[WorkloadState], number: int) -> float:
        """A null pair of so many of these workloads, which are among the cheaper ones."""
        if self.null_pair_seconds is not None:
            return self.null_pair_seconds
        return self.start_seconds + sum(sorted(map(self.of_workload, workloads))[:number])

    def observe_pair(self, workloads: Collection[WorkloadState], seconds: float) -> None:
        """Learn from a timed pair, whose workloads know their own share."""
        known = [each.gate_seconds for each in workloads if each.gate_seconds is not None]
        if len(known) == len(workloads):
            self.start_seconds = max(0.0, seconds - sum(known))


def choose_workloads(
    undecided: Sequence[WorkloadState], rule: SequentialRule, costs: PairCosts, seconds_left: float
) -> list[WorkloadState]:
    """The workloads of the next pair; none where not even one pair of the cheapest fits into the time.

    Those that need the least time come first: a few that are decided are worth more than many that are not.
    Where time is too short to decide any change, it may still suffice to keep some.
    """
    for need in (pairs_to_decide(rule), _pairs_to_keep, _one_pair):
        chosen = _longest_affordable(undecided, need, costs, seconds_left)
        if chosen:
            return chosen
    return []


def pairs_to_decide(rule: SequentialRule) -> Need:
    """Pairs that a workload is expected to need until it is kept or reaches a look."""

    def need(workload: WorkloadState) -> float:
        pairs = len(workload.log_ratios)
        look = rule.next_look(pairs) or rule.max_pairs
        if pairs >= MIN_PAIRS_TO_KEEP:
            return look - pairs
        return MIN_PAIRS_TO_KEEP - pairs + SHARE_UNDECIDED * max(0, look - MIN_PAIRS_TO_KEEP)

    return need


def _pairs_to_keep(workload: WorkloadState) -> float:
    return max(1, MIN_PAIRS_TO_KEEP - len(workload.log_ratios))


def _one_pair(workload: WorkloadState) -> float:
    return 1


def forecast_seconds(workloads: Collection[WorkloadState], need: Need, costs: PairCosts) -> float:
    """The time until all of these have had the pairs that they need."""
    starts = math.ceil(max(map(need, workloads), default=0.0))
    return starts * costs.start_seconds + sum(need(each) * costs.of_workload(each) for each in workloads)


def _longest_affordable(
    undecided: Sequence[WorkloadState], need: Need, costs: PairCosts, seconds_left: float
) -> list[WorkloadState]:
    """As many of these as fit into the time, in their order."""
    ordered = sorted(undecided, key=lambda each: need(each) * costs.of_workload(each))
    most_pairs, seconds, number = 0.0, 0.0, 0
    for workload in ordered:
        most_pairs = max(most_pairs, need(workload))
        seconds += need(workload) * costs.of_workload(workload)
        if math.ceil(most_pairs) * costs.start_seconds + seconds > seconds_left:
            break
        number += 1
    chosen = {id(each) for each in ordered[:number]}
    return [each for each in undecided if id(each) in chosen]


def format_time_option(seconds: float) -> str:
    """A time as an option takes it, rounded up to what one would type.

    >>> format_time_option(34.2), format_time_option(331), format_time_option(4000)
    ('40s', '6m', '67m')
    """
    return f"{10 * math.ceil(seconds / 10)}s" if seconds <= 110 else f"{math.ceil(seconds / 60)}m"
