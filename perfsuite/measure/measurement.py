"""What was seen of one workload in one process: samples and everything counted beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Environment:
    """The facts that must agree before two numbers may be compared.

    Hard facts make the fingerprint; soft ones are worth a warning when they differ.

    >>> Environment({"cpu": "EPYC", "cores": "2"}, {"kernel": "6.1"}).fingerprint
    '03a890fef49a'
    """

    hard: Mapping[str, str]
    soft: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        told = json.dumps(dict(self.hard), sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def hard_differences(self, other: Environment) -> dict[str, tuple[str, str]]:
        return _differences(self.hard, other.hard)

    def soft_differences(self, other: Environment) -> dict[str, tuple[str, str]]:
        return _differences(self.soft, other.soft)


def _differences(mine: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    return {
        key: (mine.get(key, "absent"), theirs.get(key, "absent"))
        for key in sorted({*mine, *theirs})
        if mine.get(key, "absent") != theirs.get(key, "absent")
    }


@dataclass(frozen=True, slots=True)
class MemoryPeaks:
    """Peaks while the workload ran, in bytes; None where there was no way to see."""

    peak_rss_bytes: int | None = None  # of the process tree, shared pages counted once
    peak_growth_bytes: int | None = None  # the same, less what the tree held before the call
    peak_cuda_allocated_bytes: int | None = None
    peak_cuda_reserved_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class GpuReadings:
    """Medians of what NVML said beside the run; `throttled` lists the reasons it ever gave."""

    utilization_percent: float
    sm_clock_mhz: float
    memory_clock_mhz: float
    power_watts: float
    temperature_celsius: float
    energy_joules: float
    throttled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """All samples of one workload in one process.

    >>> took = Measurement("test_decode", seconds_per_call=(0.1, 0.1, 9.0), items_per_call=10)
    >>> took.items_per_second
    100.0
    """

    name: str  # the test's node id
    seconds_per_call: tuple[float, ...]  # one a round
    calls_per_round: int = 1
    items_per_call: float = 1.0
    unit: str = "calls"  # what an item is: images, batches, calls
    seconds_per_call_by_stage: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    memory: MemoryPeaks | None = None
    gpu: GpuReadings | None = None

    @property
    def median_seconds_per_call(self) -> float:
        return median(self.seconds_per_call)

    @property
    def items_per_second(self) -> float:
        return self.items_per_call / self.median_seconds_per_call
