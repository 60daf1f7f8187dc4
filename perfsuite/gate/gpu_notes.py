"""Notes on the GPU in a gate's report: throttled and unobserved turns, clocks and power, other processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from perfsuite.gate.workload_state import WorkloadState
from perfsuite.measure.counters.registry import DEVICE_COUNTERS
from perfsuite.measure.visible_devices import other_processes, visible_devices

_SHOWN = {"sm_clock_mhz": "MHz", "power_watts": "W"}  # of the readings of a turn, with their unit


def uses_device(workload: WorkloadState) -> bool:
    """Whether it uses a GPU, by its counters or by its turns."""
    return bool(DEVICE_COUNTERS & workload.counters.keys() or any(workload.gpu_readings.values()))


def gpu_notes(workloads: Iterable[WorkloadState]) -> list[str]:
    """What NVML observed in the turns, and where it could not."""
    on_device = [workload for workload in workloads if uses_device(workload)]
    notes = [note for workload in on_device if (note := _describe_readings(workload))]
    throttled = sum(workload.throttled_turns for workload in on_device)
    if throttled:
        notes.append(f"{throttled} turns ran on a throttled GPU, even when repeated")
    unobserved = sum(workload.unobserved_turns for workload in on_device)
    if unobserved:
        notes.append(
            f"{unobserved} turns on the GPU were not observed, expected NVML to read it; whether it was "
            "throttled is unknown (perfsuite doctor says why)"
        )
    return notes


def _describe_readings(workload: WorkloadState) -> str:
    """The median clock and power of both sides' turns; empty where none was read."""
    parts = []
    for metric, unit in _SHOWN.items():
        sides = [_values(workload, side, metric) for side in ("base", "head")]
        if all(sides):
            base, head = map(median, sides)
            parts.append(f"{base:,.0f} and {head:,.0f} {unit}")
    return f"{workload.name}: the GPU ran at {', '.join(parts)} (base and head)" if parts else ""


def _values(workload: WorkloadState, side: str, metric: str) -> Sequence[float]:
    return [reading.medians[metric] for reading in workload.gpu_readings[side] if metric in reading.medians]


def describe_other_processes(nvml: Any) -> list[str]:
    """A note on the processes that compute on the visible devices while no side of the gate is alive."""
    if nvml is None:
        return []
    try:
        found = [other_processes(nvml, device) for device in visible_devices(nvml)]
    except nvml.NVMLError as error:
        return [f"the GPU cannot be read (NVML: {error}), so other processes on it are unknown"]
    processes = sorted({process for each in found for process in each or ()})
    if not processes:
        return []
    return [f"other processes use the GPU: {', '.join(map(str, processes))}; stop them while timing"]
