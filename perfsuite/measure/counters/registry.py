"""Count what a call does. Counts are exact, so one call of each side is enough for a comparison.

Counting slows a call down many times over. It happens in calls of its own, never in a timed round. Work in
other processes (the workers of a loader) is not counted.

A module of this package that defines FAMILY adds a family of counters; nothing else needs to change.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack

from perfsuite.discovery import discover
from perfsuite.measure import counters
from perfsuite.measure.clock import Call
from perfsuite.measure.counters.family import CounterFamily, Counts, Direction

FAMILIES = tuple(sorted(discover(counters, "FAMILY", CounterFamily), key=lambda family: family.level))

# A change of a counter that is not listed has no direction: it is neither better nor worse.
DIRECTIONS: dict[str, Direction] = {
    name: direction for family in FAMILIES for name, direction in family.directions.items()
}


def count(call: Call) -> dict[str, int]:
    """All counters of one call, by name.

    The counters of torch need a process that has imported torch; a suite without torch does not import it.

    >>> count(lambda: open("/dev/null").close())["opened_files"]
    1
    """
    counts: Counts = Counter()
    with ExitStack() as stack:
        for family in FAMILIES:
            if family.needs_module is None or family.needs_module in sys.modules:
                stack.enter_context(family.watch(counts))
        call()
    return dict(counts)
