"""What torch.compile did: graph breaks, compiled graphs, recompiles, generated kernels."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from perfsuite.measure.counters.family import CounterFamily, Counts, less_is_better

_NAMES = ("graph_breaks", "compiled_graphs", "recompiles", "generated_kernels")


def compile_counters() -> dict[str, int]:
    """The totals of this process so far; zeros if it never used torch.compile."""
    counts = dict.fromkeys(_NAMES, 0)
    dynamo = sys.modules.get("torch._dynamo.utils")
    if dynamo is not None:
        totals = dynamo.counters
        counts["graph_breaks"] = sum(totals["graph_break"].values())
        counts["compiled_graphs"] = int(totals["stats"]["unique_graphs"])
    frames = getattr(sys.modules.get("torch._dynamo.convert_frame"), "FRAME_COMPILE_COUNTER", None)
    if frames is not None:
        counts["recompiles"] = sum(max(0, times - 1) for times in frames.values())
    inductor = sys.modules.get("torch._inductor.metrics")
    if inductor is not None:
        counts["generated_kernels"] = int(inductor.generated_kernel_count)
    return counts


class CompilationCounters:
    """What torch.compile does between two moments.

    A workload compiles in its first calls, and it runs eagerly while it is counted. So create this before
    the first call and read `difference` after the last timed call.
    """

    def __init__(self) -> None:
        self._before = compile_counters()

    def difference(self) -> dict[str, int]:
        return {name: total - self._before.get(name, 0) for name, total in sorted(compile_counters().items())}


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    counters = CompilationCounters()
    yield
    counts.update(counters.difference())


FAMILY = CounterFamily(
    directions=less_is_better(*_NAMES),
    watch=_watch,
    needs_module="torch",
)
