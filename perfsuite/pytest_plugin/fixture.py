"""The `perf` fixture: measure a workload, judge its limits, and fail the test that breaks one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from perfsuite.errors import UsageError
from perfsuite.judge.limit_confirmation import CONFIRMATIONS, confirm_broken, pause_seconds
from perfsuite.judge.limits import Limit
from perfsuite.judge.order_statistics import confidence_at_look
from perfsuite.judge.units import MetricKind
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.clock import Clock, CountingClock, make_clock
from perfsuite.measure.extra_calls import ExtraCalls
from perfsuite.measure.gpu import monitor_gpu
from perfsuite.measure.measurement import Measurement
from perfsuite.measure.sampling import RoundCallback, Rounds, SamplingPlan, sample
from perfsuite.measure.turns import TurnSamples, take_turns
from perfsuite.measure.workload import Workload, make_workload
from perfsuite.pytest_plugin.benchmark_adapter import BenchmarkAdapter
from perfsuite.pytest_plugin.counting_run import count_and_judge
from perfsuite.pytest_plugin.markers import ItemLimits
from perfsuite.pytest_plugin.outcome import apply_verdicts, judge_limits
from perfsuite.pytest_plugin.session import PerfSession
from perfsuite.pytest_plugin.turn_comparison import TurnComparison, measurement_from_turns

WorkloadServer = Callable[[str, Callable[[], object], float], None]

_DEFAULT_PLAN = SamplingPlan()
_workload_server: WorkloadServer | None = None


def set_workload_server(server: WorkloadServer | None) -> None:
    """Hand every workload to `server`, as name, call and items per call, instead of measuring it.

    A gate sets it in its side processes, where workloads take turns with those of the other side.
    """
    global _workload_server
    _workload_server = server


class Perf:
    """Measure one workload: `perf(loader)`, `perf.pair(plain=..., augmented=...)`."""

    def __init__(
        self,
        item: pytest.Item,
        benchmark: BenchmarkAdapter,
        limits: ItemLimits,
        session: PerfSession,
    ) -> None:
        self._item = item
        self._benchmark = benchmark
        self._limits = limits
        self._session = session
        self._options = session.options
        self.was_used = False

    def __call__(
        self,
        workload: object,
        *,
        items: float | None = None,
        unit: str | None = None,
        device: str | None = None,
        clock: str = "wall",
    ) -> Measurement | None:
        """Measure a callable without arguments, or an iterable of batches (one call is one full pass).

        `items` is how many items one call handles, and `unit` what they are; the items of an iterable are
        counted. `clock="events"` uses CUDA events instead of the wall clock. Returns the measurement, None
        where measuring is disabled.
        """
        self._mark_used()
        self._refuse_ratio_limits()
        target = make_workload(self._item.nodeid, workload, items, unit)
        if self._run_without_measuring([target]):
            return None
        if self._options.count_only:
            count_and_judge(self._item, [target], self._limits, self._session)
            return None
        timer = CountingClock(make_clock(device, clock))

        extra = ExtraCalls(target, timer)
        with self._session.progress.for_workload(target.name) as progress:
            with monitor_gpu(device) as gpu:
                rounds = self._sample(target, timer, progress.on_round)
            readings = gpu.readings and replace(gpu.readings, calls=timer.calls)
            if not self._options.time_only:
                progress.on_round("counting, stages, memory", 0)
                extra.collect(rounds)
            measurement = extra.measurement(rounds, readings)
            level = self._level(rounds.looks)
            verdicts, aims = (
                judge_limits(limits, measurement, level)
                for limits in (self._limits.required, self._limits.aims)
            )
            verdicts = self._confirm(verdicts, target, timer, progress.on_round)
        self._benchmark.add_samples(measurement)
        apply_verdicts(self._item, measurement, verdicts, self._session, aims=aims)
        return measurement

    def _sample(self, target: Workload, timer: Clock, on_round: RoundCallback) -> Rounds:
        """Take rounds until the limits of a time are decided."""

        def is_decided(samples: Sequence[float], look: int) -> bool:
            measurement = _partial_measurement(target, samples)
            return _all_decided(judge_limits(self._timed_limits, measurement, self._level(look)))

        return sample(target.call, timer, self._plan, enough=is_decided, on_round=on_round)

    def _confirm(
        self, verdicts: list[Verdict], target: Workload, timer: Clock, on_round: RoundCallback
    ) -> list[Verdict]:
        """Measure again, after pauses, while a limit of a time is broken."""
        metrics = {limit.metric for limit in self._timed_limits}
        for _ in range(CONFIRMATIONS):
            if not any(each.outcome is Outcome.BROKEN and each.metric in metrics for each in verdicts):
                break
            on_round("looks broken, measuring again after a pause", 0)
            time.sleep(pause_seconds(self._plan.max_seconds))
            rounds = self._sample(target, timer, on_round)
            measurement = _partial_measurement(target, rounds.seconds_per_call)
            again = judge_limits(self._timed_limits, measurement, self._level(rounds.looks))
            verdicts = confirm_broken(verdicts, {each.metric: each for each in again})
        return verdicts

    def _level(self, look: int) -> float:
        return confidence_at_look(self._options.level, max(1, look))

    def pair(
        self,
        *,
        items: float | None = None,
        device: str | None = None,
        clock: str = "wall",
        **workloads: object,
    ) -> TurnSamples | None:
        """Measure two workloads in turns; ratios are those of the second against the first.

        `overhead` is time over the first's, minus one; `overhead_share` is the share of the second's time.
        """
        if len(workloads) != 2:
            raise UsageError(f"perf.pair: {len(workloads)} workloads, expected two by name")
        reference, candidate = self._make_workloads(workloads, items)
        comparison = TurnComparison(
            candidate=candidate, references=(reference,), workloads=(reference, candidate)
        )
        return self._measure_in_turns(comparison, device, clock)

    def race(
        self,
        *,
        items: float | None = None,
        device: str | None = None,
        clock: str = "wall",
        **workloads: object,
    ) -> TurnSamples | None:
        """Measure several workloads in turns; `speedup` is the first's against each of the others."""
        if len(workloads) < 2:
            raise UsageError(f"perf.race: {len(workloads)} workloads, expected several by name")
        racers = self._make_workloads(workloads, items)
        comparison = TurnComparison(candidate=racers[0], references=racers[1:], workloads=racers)
        return self._measure_in_turns(comparison, device, clock)

    def _make_workloads(self, workloads: Mapping[str, object], items: float | None) -> tuple[Workload, ...]:
        self._mark_used()
        return tuple(
            make_workload(f"{self._item.nodeid}::{name}", workload, items)
            for name, workload in workloads.items()
        )

    def _measure_in_turns(
        self, comparison: TurnComparison, device: str | None, clock: str
    ) -> TurnSamples | None:
        if self._run_without_measuring(comparison.workloads):
            return None
        if self._options.count_only:
            workloads = (comparison.candidate, *comparison.references)
            count_and_judge(self._item, workloads, self._limits, self._session)
            return None
        turns = self._take_turns(comparison, make_clock(device, clock))
        measurement = measurement_from_turns(comparison.candidate, turns)
        level = self._level(turns.looks)
        verdicts, aims = (
            comparison.judge_ratios(limits, turns.seconds_per_item, level)
            + judge_limits(limits, measurement, level)
            for limits in (self._limits.required, self._limits.aims)
        )
        for reference in comparison.references:
            self._session.record(measurement_from_turns(reference, turns))
        self._benchmark.add_samples(measurement)
        apply_verdicts(self._item, measurement, verdicts, self._session, aims=aims)
        return turns

    def _take_turns(self, comparison: TurnComparison, timer: Clock) -> TurnSamples:
        plan = replace(self._plan, min_rounds=self._plan.min_rounds + len(comparison.references))
        with self._session.progress.for_workload(self._item.nodeid) as progress:
            return take_turns(
                comparison.workloads,
                timer,
                plan,
                enough=lambda seconds, look: _all_decided(
                    comparison.judge_ratios(self._limits.required, seconds, self._level(look))
                ),
                on_round=progress.on_round,
            )

    @property
    def _timed_limits(self) -> list[Limit]:
        """The limits that more samples can decide; memory and counters are measured once, afterward."""
        return [
            limit for limit in self._limits.required if limit.kind in (MetricKind.RATE, MetricKind.SECONDS)
        ]

    @property
    def _plan(self) -> SamplingPlan:
        """Sample as long as pytest-benchmark's options say, and longer while a limit is undecided."""
        timing = self._benchmark.timing
        return SamplingPlan(
            min_rounds=max(_DEFAULT_PLAN.min_rounds, timing.min_rounds),
            min_seconds=min(timing.max_seconds, self._options.max_seconds),
            max_seconds=self._options.max_seconds,
            round_seconds=max(_DEFAULT_PLAN.round_seconds, timing.min_round_seconds),
            disable_gc=timing.disable_gc,
        )

    def _mark_used(self) -> None:
        if self.was_used:
            raise UsageError(
                "perf: called twice in a test, expected once; one test measures one workload or one pair"
            )
        self.was_used = True
        self._session.perf_node_ids.add(self._item.nodeid)
        self._benchmark.mark_used()

    def _refuse_ratio_limits(self) -> None:
        for limit in (*self._limits.required, *self._limits.aims):
            if limit.is_of_ratio:
                raise UsageError(
                    f"perf: {limit.limit_type}({limit.metric}) needs two workloads; use perf.pair"
                )

    def _run_without_measuring(self, workloads: Sequence[Workload]) -> bool:
        """Serve the workloads to a gate, or call each once where measuring is disabled; else return False."""
        if _workload_server is not None:
            for workload in workloads:
                _workload_server(workload.name, workload.call, workload.items_per_call)
            return True
        if self._benchmark.is_disabled:
            for workload in workloads:
                workload.call()
            return True
        return False


def _all_decided(verdicts: Sequence[Verdict]) -> bool:
    return all(verdict.outcome is not Outcome.UNCLEAR for verdict in verdicts)


def _partial_measurement(workload: Workload, samples: Sequence[float]) -> Measurement:
    return Measurement(
        workload.name, tuple(samples), items_per_call=workload.items_per_call, unit=workload.unit
    )
