"""The `perf` fixture: it measures a workload, judges its limits and fails the test that breaks one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from perfsuite.errors import UsageError
from perfsuite.judge.limits import Limit, judge_limit
from perfsuite.judge.metrics import MetricEstimate, estimate_ratio
from perfsuite.judge.order_statistics import confidence_at_look
from perfsuite.judge.units import MetricKind
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.clock import make_clock
from perfsuite.measure.extras import ExtrasCollector
from perfsuite.measure.gpu import monitor_gpu
from perfsuite.measure.measurement import Measurement
from perfsuite.measure.sampling import SamplingPlan, sample
from perfsuite.measure.turns import TurnSamples, paired_ratios, take_turns
from perfsuite.measure.workload import Workload, make_workload
from perfsuite.pytest_plugin.outcome import apply_verdicts, judge_limits
from perfsuite.pytest_plugin.session import PerfSession

_DEFAULT_PLAN = SamplingPlan()

# Set inside an arm of a gate: the workload is handed over, to be worked in turns, and not measured here.
serve_workload: Callable[[str, Callable[[], object], float], None] | None = None


class Perf:
    """Measure one workload: `perf(loader)`, `perf.pair(plain=..., augmented=...)`."""

    def __init__(
        self,
        node: pytest.Item,
        benchmark: Any,
        limits: Sequence[Limit],
        session: PerfSession,
    ) -> None:
        self._node = node
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

        `items` is how many items one call handles and `unit` what they are; those of an iterable are
        counted. `clock="events"` takes CUDA events instead of the wall clock. Returns what was measured,
        None where measuring is disabled.
        """
        self._use_once()
        self._refuse_ratio_limits()
        plain = make_workload(self._node.nodeid, workload, items, unit)
        if self._runs_unmeasured([plain]):
            return None
        ticking = make_clock(device, clock)

        def is_decided(samples: Sequence[float], look: int) -> bool:
            level = confidence_at_look(self._options.level, look)
            verdicts = judge_limits(self._timed_limits, _partial_measurement(plain, samples), level)
            return all(verdict.outcome is not Outcome.UNCLEAR for verdict in verdicts)

        observer = ExtrasCollector(plain, ticking)
        with self._session.progress.for_workload(plain.name) as progress:
            with monitor_gpu() as gpu:
                rounds = sample(
                    plain.call,
                    ticking,
                    self._plan,
                    enough=is_decided,
                    on_round=progress.on_round,
                )
            if self._options.with_extras:
                progress.on_round("counting, stages, memory", 0)
                observer.collect(rounds)
        measurement = observer.measurement(rounds, gpu.readings)
        self._report_to_benchmark(measurement)
        level = confidence_at_look(self._options.level, max(1, rounds.looks))
        verdicts = judge_limits(self._limits, measurement, level)
        apply_verdicts(self._node, measurement, verdicts, self._session)
        return measurement

    def pair(
        self, *, items: float | None = None, device: str | None = None, clock: str = "wall", **arms: object
    ) -> TurnSamples | None:
        """Measure two workloads in turns; `overhead` and `speedup` are the second's against the first."""
        if len(arms) != 2:
            raise UsageError(
                f"{self._node.nodeid}: perf.pair got {len(arms)} workloads, expected two by name"
            )
        reference, candidate = arms
        return self._measure_in_turns(arms, candidate, [reference], items, device, clock)

    def race(
        self, *, items: float | None = None, device: str | None = None, clock: str = "wall", **arms: object
    ) -> TurnSamples | None:
        """Measure several workloads in turns; `speedup` is the first's against each of the others."""
        if len(arms) < 2:
            raise UsageError(
                f"{self._node.nodeid}: perf.race got {len(arms)} workloads, expected several by name"
            )
        first, *others = arms
        return self._measure_in_turns(arms, first, others, items, device, clock)

    def _measure_in_turns(
        self,
        arms: Mapping[str, object],
        candidate: str,
        others: Sequence[str],
        items: float | None,
        device: str | None,
        clock: str,
    ) -> TurnSamples | None:
        self._use_once()
        nodeid = self._node.nodeid
        workloads = [make_workload(f"{nodeid}::{name}", arm, items) for name, arm in arms.items()]
        if self._runs_unmeasured(workloads):
            return None
        ours, theirs = f"{nodeid}::{candidate}", [f"{nodeid}::{other}" for other in others]
        limits = [limit for limit in self._limits if limit.is_of_ratio]

        def judged(seconds: Mapping[str, Sequence[float]], look: int) -> list[Verdict]:
            # Each of the others is a comparison of its own, so they share the chance of error.
            level = 1 - (1 - confidence_at_look(self._options.level, look)) / len(theirs)
            return [
                judge_limit(
                    limit,
                    _ratio_estimate(limit.metric, seconds, ours, other, level),
                    f"{ours} against {other}",
                )
                for limit in limits
                for other in theirs
            ]

        with self._session.progress.for_workload(nodeid) as progress:
            turns = take_turns(
                workloads,
                make_clock(device, clock),
                replace(self._plan, min_rounds=self._plan.min_rounds + len(theirs)),
                enough=lambda seconds, look: all(
                    verdict.outcome is not Outcome.UNCLEAR for verdict in judged(seconds, look)
                ),
                on_round=progress.on_round,
            )
        verdicts = judged(turns.seconds_per_item, max(1, turns.looks))
        measured = {w.name: _measurement_from_turns(w, turns) for w in workloads}
        level = confidence_at_look(self._options.level, max(1, turns.looks))
        verdicts += judge_limits(self._limits, measured[ours], level)
        for other in theirs:
            self._session.record(measured[other])
        self._report_to_benchmark(measured[ours])
        apply_verdicts(self._node, measured[ours], verdicts, self._session)
        return turns

    @property
    def _timed_limits(self) -> list[Limit]:
        """Those that more samples can decide: memory and counters are found once, afterward."""
        return [limit for limit in self._limits if limit.kind in (MetricKind.RATE, MetricKind.SECONDS)]

    @property
    def _plan(self) -> SamplingPlan:
        """pytest-benchmark's own options say how long is usual; ours how long it may take in doubt."""
        usual = float(self._benchmark._max_time)
        return SamplingPlan(
            min_rounds=max(_DEFAULT_PLAN.min_rounds, self._benchmark._min_rounds),
            min_seconds=min(usual, self._options.max_seconds),
            max_seconds=self._options.max_seconds,
            round_seconds=max(_DEFAULT_PLAN.round_seconds, self._benchmark._min_time),
            disable_gc=bool(self._benchmark._disable_gc),
        )

    def _use_once(self) -> None:
        if self.was_used:
            raise UsageError(f"{self._node.nodeid}: perf was called twice; one test measures one workload")
        self.was_used = True
        self._session.perf_node_ids.add(self._node.nodeid)
        self._benchmark._mode = "perf(...)"  # or pytest-benchmark would say that it was never used

    def _refuse_ratio_limits(self) -> None:
        for limit in self._limits:
            if limit.is_of_ratio:
                raise UsageError(
                    f"{self._node.nodeid}: {limit.limit_type}({limit.metric}) "
                    "wants two workloads; use perf.pair"
                )

    def _runs_unmeasured(self, workloads: Sequence[Workload]) -> bool:
        """True where this process does not measure: inside a gate's arm, or with measuring disabled."""
        if serve_workload is not None:
            for workload in workloads:
                serve_workload(workload.name, workload.call, workload.items_per_call)
            return True
        if self._benchmark.disabled:
            for workload in workloads:
                workload.call()
            return True
        return False

    def _report_to_benchmark(self, measurement: Measurement) -> None:
        """Hand the samples to pytest-benchmark, so that its table, JSON and comparisons have them."""
        stats = self._benchmark._make_stats(measurement.calls_per_round)
        for seconds in measurement.seconds_per_call:
            stats.update(seconds * measurement.calls_per_round)
        self._benchmark.extra_info.update(
            {f"{measurement.unit}_per_second": measurement.items_per_second, **measurement.counters}
        )


def _partial_measurement(workload: Workload, samples: Sequence[float]) -> Measurement:
    return Measurement(
        workload.name, tuple(samples), items_per_call=workload.items_per_call, unit=workload.unit
    )


def _ratio_estimate(
    metric: str, seconds: Mapping[str, Sequence[float]], ours: str, other: str, level: float
) -> MetricEstimate:
    if metric == "overhead":
        return estimate_ratio(paired_ratios(seconds, ours, other), level, less=1.0)
    return estimate_ratio(paired_ratios(seconds, other, ours), level)


def _measurement_from_turns(workload: Workload, turns: TurnSamples) -> Measurement:
    items = workload.items_per_call
    return Measurement(
        workload.name,
        tuple(seconds * items for seconds in turns.seconds_per_item[workload.name]),
        calls_per_round=turns.calls_per_turn[workload.name],
        items_per_call=items,
        unit=workload.unit,
    )
