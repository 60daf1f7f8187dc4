"""Compare counters. They are exact, so any difference between two sides is a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.counters.family import KERNEL_PREFIX, Direction
from perfsuite.measure.counters.registry import DEVICE_COUNTERS

Counts = Mapping[str, int]  # of one call
MAX_SHOWN_VALUES = 6  # of a counter that varies
MAX_SHOWN_KERNELS = 3
EXPLAINED_BY_KERNELS = frozenset({"kernel_launches", "device_kernels"})


@dataclass(frozen=True, slots=True)
class CounterDiff:
    """The counters of two sides."""

    changed: tuple[Verdict, ...] = ()
    stable: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # base, head
    unstable: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # the values that occurred
    one_sided: tuple[Verdict, ...] = ()  # on counters that one side could not count
    kernels: str = ""  # the kernels that ran more or less often

    def verdicts(self, workload: str) -> tuple[Verdict, ...]:
        """One verdict per changed or varying counter, and one for all equal counters together."""
        changed, varying = self.changed + self.one_sided, self.varying_verdicts(workload)
        equal = sum(base == head for base, head in self.stable.values())
        if not equal:
            return changed + varying
        reason = f"{equal} counter{'s' * (equal > 1)} equal"
        kept = Verdict(workload, "counters", Outcome.KEPT, reason, estimate=0.0)
        return (*changed, kept, *varying)

    def explain(self, counter: str, evidence: str) -> str:
        """The evidence of a change, with the kernels behind it."""
        if counter not in EXPLAINED_BY_KERNELS or not self.kernels:
            return evidence
        return f"{evidence}; kernels: {self.kernels}"

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
    direction is unclear, and so is a counter of a device that only one side could count. `evidence` says how
    a change was shown.

    >>> counts = [{"casts": 2}], [{"casts": 3}]
    >>> [verdict] = compare_counters("t", *counts, {"casts": Direction.LESS_IS_BETTER}).changed
    >>> verdict.reason, verdict.evidence
    ('2 -> 3 (+1)', 'exact')
    """
    if not base or not head:
        return CounterDiff()
    names = sorted({name for counts in (*base, *head) for name in counts if not _is_kernel(name)})
    one_sided = {
        name: side
        for name in names
        if name in DEVICE_COUNTERS
        and (side := _only_side(name, base, head))
        and any(_values(name, *base, *head))
    }
    values = {name: (_values(name, *base), _values(name, *head)) for name in names if name not in one_sided}
    stable = {
        name: (old[0], new[0])
        for name, (old, new) in values.items()
        if len(set(old)) == 1 and len(set(new)) == 1
    }
    diff = CounterDiff(
        stable=stable,
        unstable={
            name: tuple(sorted({*old, *new})) for name, (old, new) in values.items() if name not in stable
        },
        one_sided=tuple(_one_sided_verdict(workload, name, side) for name, side in one_sided.items()),
        kernels=describe_kernels(base[0], head[0]),
    )
    changed = tuple(
        changed_verdict(workload, name, (old, new), directions.get(name), diff.explain(name, evidence))
        for name, (old, new) in stable.items()
        if old != new
    )
    return replace(diff, changed=changed)


def _is_kernel(name: str) -> bool:
    return name.startswith(KERNEL_PREFIX)


def _values(name: str, *counts: Counts) -> list[int]:
    return [each.get(name, 0) for each in counts]


def _only_side(name: str, base: Sequence[Counts], head: Sequence[Counts]) -> str:
    """The side that alone has a counter; empty where both have it."""
    on_base, on_head = (any(name in counts for counts in side) for side in (base, head))
    return "" if on_base == on_head else "base" if on_base else "head"


def _one_sided_verdict(workload: str, counter: str, side: str) -> Verdict:
    return Verdict(workload, counter, Outcome.UNCLEAR, f"counted on {side} alone, expected both sides")


def describe_kernels(base: Counts, head: Counts) -> str:
    """The kernels that ran more or less often on head, the largest difference first.

    >>> describe_kernels({"kernel: add": 2, "kernel: mul": 1}, {"kernel: add": 3})
    '+1 add, -1 mul'
    """
    differences = {
        name.removeprefix(KERNEL_PREFIX): head.get(name, 0) - base.get(name, 0)
        for name in sorted({*base, *head})
        if _is_kernel(name)
    }
    changed = sorted((item for item in differences.items() if item[1]), key=lambda item: -abs(item[1]))
    shown = [f"{number:+} {name}" for name, number in changed[:MAX_SHOWN_KERNELS]]
    more = len(changed) - len(shown)
    return ", ".join([*shown, f"and {more} more"] if more else shown)


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
