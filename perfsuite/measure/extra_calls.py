"""What is measured in extra calls, outside the timed rounds: counters, stages, memory, compilation."""

from __future__ import annotations

from math import ceil

from perfsuite.measure.clock import Clock
from perfsuite.measure.counters.compilation import CompilationCounters
from perfsuite.measure.counters.registry import CallCounts, count_call
from perfsuite.measure.measurement import GpuReadings, Measurement, MemoryPeaks
from perfsuite.measure.memory import measure_peak_memory
from perfsuite.measure.sampling import Rounds
from perfsuite.measure.stage_clock import seconds_by_stage
from perfsuite.measure.workload import Workload

_STAGE_TIMING_SECONDS = 0.2  # a short call is repeated for about so long, since a stage may take microseconds


def count_workload(workload: Workload) -> Measurement:
    """The counters of a call in the state that a first call leaves. Nothing is timed."""
    compilation = CompilationCounters()
    workload.call()
    compiled = compilation.difference()
    counts = count_call(workload.call)
    return Measurement(
        name=workload.name,
        seconds_per_call=(),
        items_per_call=workload.items_per_call,
        unit=workload.unit,
        counters={**counts.values, **compiled},
        unseen_by_counters=counts.unseen,
    )


class ExtraCalls:
    """Measures a workload in extra calls. Create it before the first call, which may compile."""

    def __init__(self, workload: Workload, clock: Clock) -> None:
        self._workload = workload
        self._clock = clock
        self._compilation = CompilationCounters()
        self._counts = CallCounts({})
        self._stages: dict[str, float] = {}
        self._memory: MemoryPeaks | None = None

    def collect(self, rounds: Rounds) -> None:
        """Measure stages, memory and counters. Call it after the timed rounds, which it would disturb.

        Stages are timed, and the peak of memory is read, over the same one to twenty calls.
        """
        compiled = self._compilation.difference()
        call = self._workload.call
        fastest = min(rounds.seconds_per_call)
        calls = max(1, min(20, ceil(_STAGE_TIMING_SECONDS / max(fastest, 1e-9))))

        def time_stages() -> None:
            self._stages = seconds_by_stage(call, calls, self._clock.wait)

        self._memory = measure_peak_memory(time_stages)
        counts = count_call(call)
        self._counts = CallCounts({**counts.values, **compiled}, counts.unseen)

    def measurement(self, rounds: Rounds, gpu: GpuReadings | None = None) -> Measurement:
        return Measurement(
            name=self._workload.name,
            seconds_per_call=rounds.seconds_per_call,
            calls_per_round=rounds.calls_per_round,
            items_per_call=self._workload.items_per_call,
            unit=self._workload.unit,
            seconds_per_call_by_stage=self._stages,
            counters=self._counts.values,
            unseen_by_counters=self._counts.unseen,
            memory=self._memory,
            gpu=gpu,
        )
