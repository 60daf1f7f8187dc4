"""Compare counters. They are exact, so any difference between two sides is a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.counters.family import Direction

Counts = Mapping[str, int]  # of one call
MAX_SHOWN_VALUES = 6  # of a counter that varies


@dataclass(frozen=True, slots=True)
class CounterDiff:
    """The counters of two sides."""

    changed: tuple[Verdict, ...] = ()
    stable: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # base, head
    unstable: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # the values that occurred

    def verdicts(self, workload: str) -> tuple[Verdict, ...]:
        """One verdict per changed or varying counter, and one for all equal counters together."""
        varying = self.varying_verdicts(workload)
        equal = sum(base == head for base, head in self.stable.values())
        if not equal:
            return self.changed + varying
        reason = f"{equal} counter{'s' * (equal > 1)} equal"
        kept = Verdict(workload, "counters", Outcome.KEPT, reason, estimate=0.0)
        return (*self.changed, kept, *varying)

    def varying_verdicts(self, workload: str) -> tuple[Verdict, ...]:
        return tuple(
            Verdict(workload, counter, Outcome.VARIES, _describe_values(values))
            for counter, values in self.unstable.items()
        )


def _describe_values(values: Sequence[int]) -> str:
    shown = ", ".join(f"{value:,}" for value in values[:MAX_SHOWN_VALUES])
    more = f" and {len(values) - MAX_SHOWN_VALUES} more" if len(values) > MAX_SHOWN_VALUES else ""
    return f"differs between runs of the same code ({shown}{more}): shown, does not gate"


def compare_counters(
    workload: str,
    base: Sequence[Counts],
    head: Sequence[Counts],
    directions: Mapping[str, Direction],
    evidence: str = "exact",
) -> CounterDiff:
    """Compare the repeated counts of two sides. A side without counts is not compared.

    A counter that is not constant on one side is shown and not judged. A changed counter without a declared
    direction is unclear. `evidence` says how a change was shown.

    >>> counts = [{"casts": 2}], [{"casts": 3}]
    >>> [verdict] = compare_counters("t", *counts, {"casts": Direction.LESS_IS_BETTER}).changed
    >>> verdict.reason, verdict.evidence
    ('2 -> 3 (+1)', 'exact')
    """
    if not base or not head:
        return CounterDiff()
    names = sorted({name for counts in (*base, *head) for name in counts})
    values = {
        name: tuple([counts.get(name, 0) for counts in side] for side in (base, head)) for name in names
    }
    stable = {
        name: (old[0], new[0])
        for name, (old, new) in values.items()
        if len(set(old)) == 1 and len(set(new)) == 1
    }
    return CounterDiff(
        changed=tuple(
            changed_verdict(workload, name, (old, new), directions.get(name), evidence)
            for name, (old, new) in stable.items()
            if old != new
        ),
        stable=stable,
        unstable={
            name: tuple(sorted({*old, *new})) for name, (old, new) in values.items() if name not in stable
        },
    )


def changed_verdict(
    workload: str,
    counter: str,
    values: tuple[int, int],
    direction: Direction | None,
    evidence: str = "exact",
) -> Verdict:
    """The verdict on a counter that changed from the first value to the second."""
    old, new = values
    if direction is None:
        outcome = Outcome.UNCLEAR
        evidence += "; no direction is declared, so it is neither better nor worse"
    else:
        is_worse = (new > old) == (direction is Direction.LESS_IS_BETTER)
        outcome = Outcome.REGRESSED if is_worse else Outcome.IMPROVED
    return Verdict(
        workload=workload,
        metric=counter,
        outcome=outcome,
        reason=describe_change(old, new),
        estimate=new / old - 1 if old else None,
        evidence=evidence,
    )


def describe_change(old: int, new: int) -> str:
    """
    >>> describe_change(2, 3)
    '2 -> 3 (+1)'
    """
    return f"{old:,} -> {new:,} ({new - old:+,})"
