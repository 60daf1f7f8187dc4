"""What is seen beside the timed rounds, each in calls of its own: counters, stages, memory, compiling."""

from __future__ import annotations

import sys
from collections import Counter
from math import ceil

from perfsuite.measure.clock import Clock
from perfsuite.measure.counters.registry import count
from perfsuite.measure.measurement import GpuReadings, Measurement, MemoryPeaks
from perfsuite.measure.memory import measure_peak_memory
from perfsuite.measure.sampling import Rounds
from perfsuite.measure.stage_clock import seconds_by_stage
from perfsuite.measure.workload import Workload

_STAGE_TIMING_SECONDS = 0.2  # short calls are repeated about so long, since a stage may be microseconds


class ExtrasCollector:
    """Begin before the workload's first call: what torch.compile does then is the workload's doing."""

    def __init__(self, workload: Workload, clock: Clock) -> None:
        self._workload = workload
        self._clock = clock
        self._compiled_before = _compile_counters()
        self._counters: Counter[str] = Counter()
        self._stages: dict[str, float] = {}
        self._memory: MemoryPeaks | None = None

    def collect(self, rounds: Rounds) -> None:
        """Counters, stages and memory; after the timed rounds, which they must not disturb."""
        for name, value in _compile_counters().items():
            self._counters[name] += value - self._compiled_before.get(name, 0)
        call = self._workload.call
        typical = min(rounds.seconds_per_call)
        calls = max(1, min(20, ceil(_STAGE_TIMING_SECONDS / max(typical, 1e-9))))

        def in_stages() -> None:
            self._stages = seconds_by_stage(call, calls, self._clock.wait)

        self._memory = measure_peak_memory(in_stages)
        for name, value in count(call).items():
            # A compiled workload runs eagerly while it is counted, so its compiling was read before.
            if name not in self._counters:
                self._counters[name] = value

    def measurement(self, rounds: Rounds, gpu: GpuReadings | None = None) -> Measurement:
        return Measurement(
            name=self._workload.name,
            seconds_per_call=rounds.seconds_per_call,
            calls_per_round=rounds.calls_per_round,
            items_per_call=self._workload.items_per_call,
            unit=self._workload.unit,
            seconds_per_call_by_stage=self._stages,
            counters=dict(self._counters),
            memory=self._memory,
            gpu=gpu,
        )


def _compile_counters() -> dict[str, int]:
    if "torch" not in sys.modules:
        return {}
    from perfsuite.measure.counters import torch_operators

    return torch_operators.compile_counters()
