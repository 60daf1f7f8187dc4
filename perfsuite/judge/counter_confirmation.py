"""Confirm differences of counters in fresh pairs of processes, with a bounded chance of a false alarm.

A counter may differ between two processes of the same code: it may depend on the hash seed, on the order of
imports or on chance. So a difference seen in one pair is only a candidate. Fresh pairs confirm it if every
base process repeats base's value and every head process repeats head's.

In each pair a coin decides which side starts first. Where the sides run the same code, the values belong to
the first and the second process, whatever the coin says. Then a candidate is confirmed only if `k` coins
fall in the order in which the two values appeared: a chance of 2^-k. Candidates whose values appear in the
same order share that chance, so the chance that any is confirmed is at most the number of distinct orders
times 2^-k. No distribution of the values is assumed: they may drift, alternate, or depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from perfsuite.judge.counter_diff import CounterDiff, Counts, changed_verdict, describe_change
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.counters.family import Direction

ALPHA_SHARE = 0.25  # of a gate's alpha, spent only where a counter differs; timing keeps the rest
MAX_LOST_PAIRS = 3  # fresh pairs that may fail to count a workload before its differences are given up

SideCounts = Mapping[str, Sequence[Counts]]  # by side: the counters of repeated calls


@dataclass(frozen=True, slots=True)
class CounterDifference:
    """A counter that differed between the sides in one pair, and was constant within each process."""

    workload: str
    counter: str
    base: int
    head: int


@dataclass(frozen=True, slots=True)
class CountedPair:
    """The counters of one fresh pair of processes."""

    first_side: str  # base or head; drawn by a coin
    counts: Mapping[str, SideCounts]  # by workload

    def values(self, difference: CounterDifference) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """The values of a counter in the first and the second process; None if either was not counted."""
        sides = self.counts.get(difference.workload, {})
        second_side = "head" if self.first_side == "base" else "base"
        first, second = (
            tuple(counts.get(difference.counter, 0) for counts in sides.get(side, ()))
            for side in (self.first_side, second_side)
        )
        return (first, second) if first and second else None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The differences after some pairs: each is confirmed, varying, lost or still open."""

    confirmed: frozenset[CounterDifference] = frozenset()
    varying: Mapping[CounterDifference, tuple[int, ...]] = field(default_factory=dict)  # the values
    lost: frozenset[CounterDifference] = frozenset()  # not counted in too many pairs
    open: frozenset[CounterDifference] = frozenset()
    needed: frozenset[CounterDifference] = frozenset()  # those that further pairs must count
    pairs: int = 0
    missing_pairs: int = 0  # further pairs that would confirm what is open, if they agree

    @property
    def is_finished(self) -> bool:
        return not self.open


def confirm_differences(
    differences: Sequence[CounterDifference], pairs: Sequence[CountedPair], alpha: float
) -> Confirmation:
    """Judge candidates by fresh pairs, taken after they were selected.

    The chance that any candidate is confirmed although its sides run the same code is at most `alpha`.

    >>> difference = CounterDifference("t", "casts", base=1, head=2)
    >>> pair = CountedPair("base", {"t": {"base": [{"casts": 1}], "head": [{"casts": 2}]}})
    >>> confirm_differences([difference], [pair] * 8, alpha=0.0025).missing_pairs
    1
    >>> confirm_differences([difference], [pair] * 9, alpha=0.0025).confirmed == {difference}
    True
    """
    all_orders = {difference: _order_of_values(difference, pairs) for difference in differences}
    lost = frozenset(key for key, order in all_orders.items() if _is_lost(order))
    orders = {key: order for key, order in all_orders.items() if order is not None and key not in lost}
    agreeing = frozenset(key for key, order in orders.items() if order == _coins(order, pairs))
    chance = _chance_of_any(orders.values())
    is_proven = chance <= alpha
    return Confirmation(
        confirmed=agreeing if is_proven else frozenset(),
        varying={key: _all_values(key, pairs) for key in differences if key not in agreeing | lost},
        lost=lost,
        open=frozenset() if is_proven else agreeing,
        needed=frozenset(orders),
        pairs=len(pairs),
        missing_pairs=0 if is_proven else math.ceil(math.log2(chance / alpha)),
    )


def find_differences(workload: str, diff: CounterDiff) -> list[CounterDifference]:
    """The counters of one workload that differ between the sides, to be confirmed.

    >>> diff = CounterDiff(stable={"casts": (1, 2), "copies": (3, 3)})
    >>> find_differences("t", diff)
    [CounterDifference(workload='t', counter='casts', base=1, head=2)]
    """
    return [
        CounterDifference(workload, counter, base, head)
        for counter, (base, head) in diff.stable.items()
        if base != head
    ]


def apply_confirmation(
    workload: str, diff: CounterDiff, confirmation: Confirmation, directions: Mapping[str, Direction]
) -> CounterDiff:
    """The comparison of one workload's counters with only confirmed differences as changes."""
    differences = find_differences(workload, diff)
    varying = {
        difference.counter: confirmation.varying[difference]
        for difference in differences
        if difference in confirmation.varying
    }
    return CounterDiff(
        changed=tuple(
            _verdict(difference, diff, confirmation, directions.get(difference.counter))
            for difference in differences
            if difference.counter not in varying
        ),
        stable={counter: values for counter, values in diff.stable.items() if counter not in varying},
        unstable={**diff.unstable, **varying},
        one_sided=diff.one_sided,
        kernels=diff.kernels,
    )


def _verdict(
    difference: CounterDifference, diff: CounterDiff, confirmation: Confirmation, direction: Direction | None
) -> Verdict:
    workload, counter = difference.workload, difference.counter
    if difference in confirmation.confirmed:
        evidence = diff.explain(counter, f"the same in {confirmation.pairs + 1} pairs of fresh processes")
        return changed_verdict(workload, counter, (difference.base, difference.head), direction, evidence)
    if difference in confirmation.lost:
        evidence = "not confirmed: its processes ended before it was counted again"
    else:
        evidence = (
            f"not confirmed: counted in {confirmation.pairs + 1} pairs of fresh processes, "
            f"expected {confirmation.missing_pairs} more; allow more time (--time-budget)"
        )
    change = describe_change(difference.base, difference.head)
    return Verdict(workload, counter, Outcome.UNCLEAR, change, evidence=evidence)


def max_confirming_pairs(differences: int, alpha: float) -> int:
    """Pairs that suffice if every candidate's values appear in an order of their own.

    >>> max_confirming_pairs(1, 0.0025)
    12
    """
    return math.ceil(math.log2(max(1, differences) / alpha)) + MAX_LOST_PAIRS


Order = tuple[bool | None, ...]  # by pair: whether base's value came first; None if it was not counted


def _order_of_values(difference: CounterDifference, pairs: Iterable[CountedPair]) -> Order | None:
    """The order in which the two values appeared; None once a pair shows anything else.

    It does not depend on which side started first, so the coin is independent of it.
    """
    order: list[bool | None] = []
    for pair in pairs:
        values = pair.values(difference)
        if values is None:
            order.append(None)
            continue
        first, second = (set(each) for each in values)
        if (first, second) not in (
            ({difference.base}, {difference.head}),
            ({difference.head}, {difference.base}),
        ):
            return None
        order.append(first == {difference.base})
    return tuple(order)


def _is_lost(order: Order | None) -> bool:
    return order is not None and order.count(None) > MAX_LOST_PAIRS


def _coins(order: Order, pairs: Sequence[CountedPair]) -> Order:
    """The coins of the pairs in which a counter was counted, in the form of an order."""
    return tuple(
        None if place is None else pair.first_side == "base" for place, pair in zip(order, pairs, strict=True)
    )


def _chance_of_any(orders: Iterable[Order]) -> float:
    """The chance that the coins fall in one of these orders."""
    return sum(2.0 ** -sum(place is not None for place in order) for order in set(orders))


def _all_values(difference: CounterDifference, pairs: Iterable[CountedPair]) -> tuple[int, ...]:
    return tuple(sorted({difference.base, difference.head, *_observed(difference, pairs)}))


def _observed(difference: CounterDifference, pairs: Iterable[CountedPair]) -> Iterator[int]:
    for pair in pairs:
        for values in pair.values(difference) or ():
            yield from values
