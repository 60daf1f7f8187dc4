"""Allocations of CUDA's caching allocator."""

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
    counts["cuda_allocations"] += _allocations() - before


def _allocations() -> int:
    cuda: Any = sys.modules["torch"].cuda
    if not cuda.is_initialized():
        return 0
    return int(cuda.memory_stats().get("allocation.all.allocated", 0))


FAMILY = CounterFamily(directions=less_is_better("cuda_allocations"), watch=_watch, needs_module="torch")
