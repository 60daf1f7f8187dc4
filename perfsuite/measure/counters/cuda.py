"""Allocations of CUDA's caching allocator; none if the process had not initialized CUDA before the call."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perfsuite.measure.counters.family import CounterFamily, Counts, less_is_better


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    before = _allocations()
    yield
    if before is not None:
        counts["cuda_allocations"] += (_allocations() or 0) - before


def _allocations() -> int | None:
    cuda: Any = sys.modules["torch"].cuda
    if not cuda.is_initialized():
        return None
    return int(cuda.memory_stats().get("allocation.all.allocated", 0))


FAMILY = CounterFamily(directions=less_is_better("cuda_allocations"), watch=_watch, needs_module="torch")
