"""What a CUDA device did: kernel launches, copies by direction and synchronizations, from torch's profiler.

The profiler (CUPTI) records each call of the CUDA runtime or driver, and each kernel, copy and fill that it
starts, with the number of that call (`correlation`), which grows from call to call. The counted call stands
between two marker kernels, so what lies between their numbers belongs to it. Where the trace lacks a marker,
the profiler saw nothing (another one is attached, or the user may not use CUPTI): the counters do not exist.

The call is traced apart from other counters: under a dispatch mode a compiled function runs as its eager
operators, which launch other kernels.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from perfsuite.measure.counters.family import KERNEL_PREFIX, CounterFamily, Counts, less_is_better

_HOST_CATEGORIES = ("cuda_runtime", "cuda_driver")
_DEVICE_CATEGORIES = ("kernel", "gpu_memcpy", "gpu_memset")
_COPIES = {
    "HtoD": "memcpy_h2d",
    "DtoH": "memcpy_d2h",
    "DtoD": "memcpy_d2d",
    "PtoP": "memcpy_d2d",  # between two devices
}
_NAMES = ("kernel_launches", "device_kernels", *dict.fromkeys(_COPIES.values()), "memsets", "device_syncs")
_MARKER_SYNCS = 2  # after the first marker, and before the last
_MAX_NAME = 100  # characters of a kernel; names of templates take thousands
BLIND = (
    "torch's profiler did not see its own kernels on the device, expected two; is another profiler attached, "
    "or is CUPTI restricted to administrators?"
)


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """A call of the host or an activity of the device, as in a Chrome trace of torch's profiler."""

    category: str
    name: str
    correlation: int


def parse_trace(trace: Mapping[str, Any]) -> list[TraceEvent]:
    """The events of CUDA in a Chrome trace."""
    events = []
    for event in trace.get("traceEvents", ()):
        arguments = event.get("args") or {}
        correlation = arguments.get("correlation")
        if event.get("cat") in (*_HOST_CATEGORIES, *_DEVICE_CATEGORIES) and isinstance(correlation, int):
            name = f"{event['name']} {arguments.get('copy kind', '')}".strip()
            events.append(TraceEvent(event["cat"], name, correlation))
    return events


def count_events(events: Iterable[TraceEvent]) -> dict[str, int] | None:
    """The counters of what happened between the markers, and a count for each kernel; None without markers.

    A launch is a call of the host: one of a CUDA graph launches all kernels of the graph.
    """
    events = sorted(events, key=lambda event: event.correlation)
    kernels = [event for event in events if event.category == "kernel"]
    if len(kernels) < 2 or kernels[0].name != kernels[-1].name:
        return None
    first, last = kernels[0].correlation, kernels[-1].correlation
    inside = [event for event in events if first < event.correlation < last]
    counts = Counter(dict.fromkeys(_NAMES, 0))
    counts["device_syncs"] -= _MARKER_SYNCS
    counts["kernel_launches"] = len({event.correlation for event in inside if event.category == "kernel"})
    for event in inside:
        counts.update(_counters_of(event))
    return dict(counts) if counts["device_syncs"] >= 0 else None


def _counters_of(event: TraceEvent) -> tuple[str, ...]:
    if event.category == "kernel":
        return "device_kernels", KERNEL_PREFIX + event.name[:_MAX_NAME]
    if event.category == "gpu_memset":
        return ("memsets",)
    if event.category == "gpu_memcpy":
        return tuple(counter for kind, counter in _COPIES.items() if kind in event.name.split())
    return ("device_syncs",) if event.name.endswith("Synchronize") else ()


def _is_device_in_use() -> bool:
    return bool(sys.modules["torch"].cuda.is_initialized())


@contextmanager
def _watch(counts: Counts) -> Iterator[None]:
    import torch

    marker = torch.zeros(1, device="cuda")
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        marker.fill_(1.0)
        torch.cuda.synchronize()
        yield
        torch.cuda.synchronize()
        marker.fill_(2.0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        counted = count_events(parse_trace(json.loads(path.read_text(encoding="utf-8", errors="replace"))))
    if counted is None:
        counts.missing = BLIND
    else:
        counts.update(counted)


FAMILY = CounterFamily(
    directions=less_is_better(*_NAMES),
    watch=_watch,
    needs_module="torch",
    needs_device=True,
    own_call_if=lambda counts: _is_device_in_use(),
)
