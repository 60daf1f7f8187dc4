"""Files opened for reading or writing, without the source files of imported modules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perfsuite.measure.counters.audit_events import listen_to_audit_events
from perfsuite.measure.counters.family import CounterFamily, Counts, Level, add, less_is_better


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and not str(arguments[0]).endswith((".py", ".pyc")):
            add(counts, "opened_files")

    with listen_to_audit_events(on_event):
        yield


FAMILY = CounterFamily(directions=less_is_better("opened_files"), watch=_watch, level=Level.INNERMOST)
