"""pytest-benchmark's fixture and session behind names of our own.

pytest-benchmark has no public interface for a plugin that measures by itself. This file has all private names
that the pytest plugin uses, and gate/agent those that the gate uses;
`tests/pytest_plugin/test_benchmark_adapter.py` fails where one is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from perfsuite.measure.measurement import Measurement

BENCHMARK_FIXTURES = frozenset({"perf", "benchmark"})


@dataclass(frozen=True, slots=True)
class BenchmarkTiming:
    """What pytest-benchmark's own options say about the length of a measurement."""

    max_seconds: float
    min_rounds: int
    min_round_seconds: float
    disable_gc: bool


class BenchmarkAdapter:
    """The `benchmark` fixture of one test."""

    def __init__(self, benchmark: Any) -> None:
        self._benchmark = benchmark

    @classmethod
    def of_test(cls, item: pytest.Function) -> BenchmarkAdapter | None:
        """Return the fixture that a test has requested, None where it has not."""
        benchmark = item.funcargs.get("benchmark")
        return None if benchmark is None else cls(benchmark)

    @property
    def is_disabled(self) -> bool:
        return bool(self._benchmark.disabled)

    @property
    def was_skipped_or_failed(self) -> bool:
        return bool(self._benchmark.skipped or self._benchmark.has_error)

    @property
    def timing(self) -> BenchmarkTiming:
        return BenchmarkTiming(
            max_seconds=float(self._benchmark._max_time),
            min_rounds=int(self._benchmark._min_rounds),
            min_round_seconds=float(self._benchmark._min_time),
            disable_gc=bool(self._benchmark._disable_gc),
        )

    @property
    def measurement(self) -> Measurement | None:
        """What the fixture has measured by itself; None where it measured nothing."""
        stats = self._benchmark.stats
        return None if stats is None else next(_measurements([stats]), None)

    def mark_used(self) -> None:
        """Keep pytest-benchmark from warning that its fixture was never called."""
        self._benchmark._mode = "perf(...)"

    def add_samples(self, measurement: Measurement) -> None:
        """Add samples that perfsuite took, for pytest-benchmark's table, JSON and comparisons."""
        stats = self._benchmark._make_stats(measurement.calls_per_round)
        for seconds in measurement.seconds_per_call:
            stats.update(seconds * measurement.calls_per_round)
        self._benchmark.extra_info.update(
            {f"{measurement.unit}_per_second": measurement.items_per_second, **measurement.counters}
        )


class BenchmarkSessionAdapter:
    """pytest-benchmark's session of one pytest run."""

    def __init__(self, config: pytest.Config, session: Any) -> None:
        self._config = config
        self._session = session

    @classmethod
    def of_config(cls, config: pytest.Config) -> BenchmarkSessionAdapter | None:
        """Return the session, None where pytest-benchmark is not active."""
        session = getattr(config, "_benchmarksession", None)
        return None if session is None else cls(config, session)

    @property
    def is_disabled(self) -> bool:
        return bool(self._session.disabled)

    def measurements(self) -> Iterator[Measurement]:
        """Yield what pytest-benchmark's own fixture has measured."""
        return _measurements(self._session.benchmarks)

    def commit_info(self) -> Mapping[str, Any]:
        """Return the commit of the project and whether it has uncommitted changes."""
        info: Mapping[str, Any] = self._config.hook.pytest_benchmark_generate_commit_info(config=self._config)
        return info

    def build_json(self, commit_info: Mapping[str, Any]) -> dict[str, Any]:
        """Build pytest-benchmark's own JSON of this run."""
        document: dict[str, Any] = self._config.hook.pytest_benchmark_generate_json(
            config=self._config,
            benchmarks=self._session.benchmarks,
            include_data=False,
            machine_info=self._session.get_machine_info(),
            commit_info=commit_info,
        )
        return document


def uses_benchmarks(item: pytest.Item) -> bool:
    """Whether a test requests `perf` or `benchmark`."""
    return not BENCHMARK_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def uses_plain_benchmark(item: pytest.Item) -> bool:
    """Whether a test requests pytest-benchmark's own fixture, and is measured by it."""
    return uses_benchmarks(item) and "perf" not in getattr(item, "fixturenames", ())


def _measurements(benchmarks: list[Any]) -> Iterator[Measurement]:
    for benchmark in benchmarks:
        if benchmark and benchmark.stats.data:
            yield Measurement(
                benchmark.fullname, tuple(benchmark.stats.data), calls_per_round=benchmark.iterations
            )
