"""Allocations of CUDA's caching allocator, where the process uses a CUDA device."""

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
    after = _allocations()
    if after is not None:
        counts["cuda_allocations"] += after - (before or 0)


def _allocations() -> int | None:
    """The number so far; None where the process uses no device."""
    cuda: Any = sys.modules["torch"].cuda
    if not cuda.is_initialized():
        return None
    return int(cuda.memory_stats().get("allocation.all.allocated", 0))


FAMILY = CounterFamily(
    directions=less_is_better("cuda_allocations"), watch=_watch, needs_module="torch", needs_device=True
)
