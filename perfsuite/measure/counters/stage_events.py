"""Events that the running code reports itself, with `stages.count_event`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from perfsuite.measure.counters.family import CounterFamily, Counts, add
from perfsuite.stages import listen_to_stages


class _EventCounter:
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def begin(self, stage: str) -> None: ...

    def end(self, stage: str) -> None: ...

    def count_event(self, event: str, count: int) -> None:
        add(self._counts, event, count)


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    with listen_to_stages(_EventCounter(counts)):
        yield


FAMILY = CounterFamily(directions={}, watch=_watch)  # the events are the project's own
