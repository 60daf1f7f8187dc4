"""Count what a call does. Counts are exact, so one call of each side is enough for a comparison.

Counting slows a call down many times over. It happens in calls of its own, never in a timed round. What a
counter cannot see is named: work in other processes (the workers of a loader), and for the counters of
torch's operators work in other threads. Then the true number is at least the one that was counted.

A module of this package that defines FAMILY adds a family of counters; nothing else needs to change.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from perfsuite.discovery import discover
from perfsuite.measure import counters
from perfsuite.measure.clock import Call
from perfsuite.measure.counters.family import KERNEL_PREFIX, CounterFamily, Counts, Direction, Scope
from perfsuite.measure.counters.unseen_work import UnseenWork, watch_unseen_work

FAMILIES = tuple(
    sorted(discover(counters, "FAMILY", CounterFamily).values(), key=lambda family: family.level)
)

# A change of a counter that is not listed has no direction: it is neither better nor worse.
DIRECTIONS: dict[str, Direction] = {
    name: direction for family in FAMILIES for name, direction in family.directions.items()
}

# Absent, and not 0, where no device is in use or its profiler is blind.
DEVICE_COUNTERS = frozenset(name for family in FAMILIES if family.needs_device for name in family.directions)


@dataclass(frozen=True, slots=True)
class CallCounts:
    """The counters of one call, and for those that are only lower bounds, what they could not see."""

    values: Mapping[str, int]
    unseen: Mapping[str, str] = field(default_factory=dict)  # by counter
    kernels: Mapping[str, int] = field(default_factory=dict)  # how often each kernel ran, by prefixed name
    missing: str = ""  # why some counters do not exist


def count_call(call: Call) -> CallCounts:
    """All counters of one call, which is made again for each family that counts in a call of its own.

    The counters of torch need a process that has imported torch; a suite without torch does not import it.
    """
    counts = Counts({name: 0 for name in DIRECTIONS if name not in DEVICE_COUNTERS})
    absent = [family for family in FAMILIES if not _is_available(family)]
    present = [family for family in FAMILIES if family not in absent]
    with watch_unseen_work() as unseen:
        _watch_call(call, counts, [family for family in present if family.own_call_if is None])
    for family in present:
        if family.own_call_if is not None and family.own_call_if(counts):
            _watch_call(call, counts, [family])
    imported = [family for family in absent if _is_available(family)]
    kernels = {name: number for name, number in counts.items() if name.startswith(KERNEL_PREFIX)}
    values = {name: number for name, number in counts.items() if name not in kernels}
    unseen_by_counter = dict(_unseen_by_counter(values, unseen, imported))
    return CallCounts(values, unseen_by_counter, kernels, counts.missing)


def _watch_call(call: Call, counts: Counts, families: Sequence[CounterFamily]) -> None:
    with ExitStack() as stack:
        for family in families:
            stack.enter_context(family.watch(counts))
        call()


def count(call: Call) -> dict[str, int]:
    """All counters of one call, by name; see `count_call` for what they cannot see.

    >>> count(lambda: open("/dev/null").close())["opened_files"]
    1
    """
    return dict(count_call(call).values)


def _is_available(family: CounterFamily) -> bool:
    return family.needs_module is None or family.needs_module in sys.modules


def _unseen_by_counter(
    counts: Mapping[str, int], unseen: UnseenWork, imported: list[CounterFamily]
) -> Iterator[tuple[str, str]]:
    """The counters that may be too small, each with a reason; `imported`: families that came too late."""
    if unseen.in_processes:
        yield from ((name, unseen.in_processes) for name in counts)
    for family in FAMILIES:
        names = (*family.directions, *family.contributes_to)
        if family in imported:
            yield from ((name, f"the call itself imported {family.needs_module}") for name in names)
        elif unseen.in_threads and family.scope is Scope.CALLING_THREAD and _is_available(family):
            yield from ((name, unseen.in_threads) for name in names)
