"""pytest-benchmark still has the private names that the adapter uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import perfsuite.pytest_plugin
from perfsuite.pytest_plugin.benchmark_adapter import BenchmarkAdapter, BenchmarkSessionAdapter
from tests.pytest_plugin.conftest import Run

ADAPTER = Path(perfsuite.pytest_plugin.__file__).parent / "benchmark_adapter.py"


def test_the_adapter_reads_the_options_of_pytest_benchmark(run: Run) -> None:
    source = (
        "from perfsuite.pytest_plugin.benchmark_adapter import BenchmarkAdapter\n"
        "def test_it(benchmark):\n"
        "    adapter = BenchmarkAdapter(benchmark)\n"
        "    timing = adapter.timing\n"
        "    assert (timing.max_seconds, timing.min_rounds, timing.disable_gc) == (0.25, 11, True)\n"
        "    assert timing.min_round_seconds > 0 and not adapter.is_disabled\n"
        "    assert adapter.measurement is None and not adapter.was_skipped_or_failed\n"
        "    benchmark(lambda: None)\n"
        "    assert adapter.measurement.name.endswith('::test_it')\n"
    )
    options = ["--benchmark-max-time=0.25", "--benchmark-min-rounds=11", "--benchmark-disable-gc"]
    run(source, *options).assert_outcomes(passed=1)


def test_without_pytest_benchmark_there_is_no_session(pytestconfig: pytest.Config) -> None:
    class ConfigWithoutBenchmark:
        stash = pytestconfig.stash

    assert BenchmarkSessionAdapter.of_config(ConfigWithoutBenchmark()) is None  # type: ignore[arg-type]
    assert BenchmarkSessionAdapter.of_config(pytestconfig) is not None


def test_a_test_without_the_fixture_has_no_adapter(request: pytest.FixtureRequest) -> None:
    assert BenchmarkAdapter.of_test(request.node) is None


PRIVATE_NAME = re.compile(r"_benchmarksession|\b_?benchmarks?\._\w+")


def test_private_names_of_pytest_benchmark_are_in_one_file() -> None:
    assert PRIVATE_NAME.search(ADAPTER.read_text())
    others = [path for path in ADAPTER.parent.glob("*.py") if path != ADAPTER]
    assert others
    assert not [path.name for path in others if PRIVATE_NAME.search(path.read_text())]
