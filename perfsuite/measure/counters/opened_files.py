"""Files opened for reading or writing, without the source files of imported modules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perfsuite.measure.counters.family import CounterFamily, Counts, less_is_better

_active_counts: Counts | None = None
_hook_is_installed = False


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    global _active_counts, _hook_is_installed
    if not _hook_is_installed:  # Python cannot remove an audit hook, so one stays, inactive most of the time
        sys.addaudithook(_on_audit_event)
        _hook_is_installed = True
    counts["opened_files"] += 0
    _active_counts = counts
    try:
        yield
    finally:
        _active_counts = None


def _on_audit_event(event: str, arguments: tuple[Any, ...]) -> None:
    if _active_counts is not None and event == "open" and not str(arguments[0]).endswith((".py", ".pyc")):
        _active_counts["opened_files"] += 1


FAMILY = CounterFamily(directions=less_is_better("opened_files"), watch=_watch)
