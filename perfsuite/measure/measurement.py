"""The data of a measurement: samples, counters, stages, memory, GPU, and the environment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Environment:
    """The facts that must agree before two numbers may be compared.

    The fingerprint is a hash of the hard facts. Soft facts that differ cause a warning.

    >>> Environment({"cpu": "EPYC", "cores": "2"}, {"kernel": "6.1"}).fingerprint
    '03a890fef49a'
    """

    hard: Mapping[str, str]
    soft: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        text = json.dumps(dict(self.hard), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

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
    """Peaks while the workload ran, in bytes; None where they could not be measured."""

    peak_pss_bytes: int | None = None  # of the process tree; USS or RSS where the system has no PSS
    peak_growth_bytes: int | None = None  # the same, minus what the tree used before the call
    peak_cuda_allocated_bytes: int | None = None
    peak_cuda_reserved_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class GpuReadings:
    """NVML's readings while the workload ran. `medians` has one value per metric that the device supports.

    >>> GpuReadings(medians={"utilization_percent": 97.0}, energy_joules=12.0).utilization_percent
    97.0
    """

    medians: Mapping[str, float]
    energy_joules: float | None  # of the whole card; None for a MIG instance
    throttled: tuple[str, ...] = ()  # every throttle reason that NVML reported
    seconds: float = 0.0  # how long it was read
    calls: int = 0  # of the workload in that time

    @property
    def utilization_percent(self) -> float | None:
        """None for a MIG instance."""
        return self.medians.get("utilization_percent")


@dataclass(frozen=True, slots=True)
class Measurement:
    """All samples of one workload in one process.

    >>> measurement = Measurement("test_decode", seconds_per_call=(0.1, 0.1, 9.0), items_per_call=10)
    >>> measurement.items_per_second
    100.0
    """

    name: str  # the test's node id
    seconds_per_call: tuple[float, ...]  # one per round
    calls_per_round: int = 1
    items_per_call: float = 1.0
    unit: str = "calls"  # what an item is: images, batches, calls
    seconds_per_call_by_stage: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    # By counter: the work that it could not see, so that its number is a lower bound. Not stored.
    unseen_by_counters: Mapping[str, str] = field(default_factory=dict)
    memory: MemoryPeaks | None = None
    gpu: GpuReadings | None = None

    @property
    def median_seconds_per_call(self) -> float:
        return median(self.seconds_per_call)

    @property
    def items_per_second(self) -> float:
        return self.items_per_call / self.median_seconds_per_call
