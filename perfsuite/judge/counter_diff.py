"""Counters of two sides: exact, so any difference is a finding, on every machine of that torch and Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.counters.registry import counter_differences


def judge_counters(
    name: str,
    old: Sequence[Mapping[str, int]],
    new: Sequence[Mapping[str, int]],
    less_is_better: frozenset[str],
) -> Iterable[Verdict]:
    """A verdict for each counter that changed or does not repeat itself, and one for all that are equal.

    >>> [found] = judge_counters("t", [{"casts": 2}], [{"casts": 3}], frozenset({"casts"}))
    >>> found.reason
    '2 before, 3 now (counted, exact)'
    """
    if not old or not new:
        return
    unsteady = {
        counter for side in (old, new) for each in side for counter in counter_differences(side[0], each)
    }
    for counter in sorted(unsteady):
        seen = sorted({each.get(counter, 0) for each in (*old, *new)})
        reason = f"does not repeat itself ({', '.join(map(str, seen))}): shown, never judged"
        yield Verdict(name, counter, Outcome.QUARANTINED, reason)
    changed = {key: pair for key, pair in counter_differences(old[0], new[0]).items() if key not in unsteady}
    for counter, (before, after) in changed.items():
        yield _changed_verdict(name, counter, before, after, counter in less_is_better)
    equal = {*old[0], *new[0]} - unsteady - changed.keys()
    if equal:
        reason = f"{len(equal)} counter{'s' * (len(equal) > 1)} equal"
        yield Verdict(name, "counters", Outcome.KEPT, reason, estimate=0.0)


def _changed_verdict(name: str, counter: str, before: int, after: int, less_is_better: bool) -> Verdict:
    estimate = after / before - 1 if before else None
    if not less_is_better:
        reason = f"{before:,} before, {after:,} now; nobody has said which is better"
        return Verdict(name, counter, Outcome.UNCLEAR, reason, estimate)
    outcome = Outcome.REGRESSED if after > before else Outcome.IMPROVED
    return Verdict(name, counter, outcome, f"{before:,} before, {after:,} now (counted, exact)", estimate)
