"""The hooks of the plugin and its `perf` fixture; pytest-benchmark's options, table and JSON keep working."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pytest

from perfsuite.errors import PerfsuiteError
from perfsuite.pytest_plugin.benchmark_adapter import (
    BenchmarkAdapter,
    BenchmarkSessionAdapter,
    uses_benchmarks,
    uses_plain_benchmark,
)
from perfsuite.pytest_plugin.fixture import Perf
from perfsuite.pytest_plugin.images import image_dir
from perfsuite.pytest_plugin.markers import MARKERS, limits_for
from perfsuite.pytest_plugin.options import add_options, is_one_of_series, read_options
from perfsuite.pytest_plugin.outcome import judge_plain_benchmark
from perfsuite.pytest_plugin.selection import describe_selection
from perfsuite.pytest_plugin.session import PerfSession
from perfsuite.signals import sigterm_as_keyboard_interrupt

__all__ = ["image_dir", "perf"]  # the fixtures

SESSION = pytest.StashKey[PerfSession]()
TEST_FINISHED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """With `--perf-repeat`, take a series of runs in fresh processes instead of one run in this one."""
    is_asked = config.getoption("perf_repeat") is not None or config.getoption("perf_repeat_against")
    if not is_asked or is_one_of_series() or config.getoption("collectonly"):
        return None
    from perfsuite.pytest_plugin import series  # opens a store, and starts processes

    try:
        return series.run_from_config(config, read_options(config))
    except PerfsuiteError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    try:
        config.stash[SESSION] = PerfSession.from_config(config)
    except PerfsuiteError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> str:
    environment = config.stash[SESSION].environment
    facts = environment.hard
    return (
        f"perfsuite: environment {environment.fingerprint}: {facts['cpu']}, {facts['cores']} cores,"
        f" GPU {facts['gpu']}, torch {facts['torch']}"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read every limit and the reference before a test runs, so that a mistake costs no measurement."""
    session = config.stash[SESSION]
    for item in items:
        if session.options.count_only and uses_plain_benchmark(item):
            item.add_marker(pytest.mark.skip(reason="--perf-count-only counts tests that use perf"))
        try:
            limits_for(item, session.environment.hard, session.file_limits)
        except PerfsuiteError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from error
    if any(map(uses_benchmarks, items)):
        from perfsuite.pytest_plugin import reference  # opens a store: not for runs that measure nothing

        try:
            session.reference = reference.find_reference(session.options, session.environment)
        except PerfsuiteError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count the benchmarks that -k, -m, --lf or another plugin leaves out."""
    for item in items:
        if uses_benchmarks(item):
            item.config.stash[SESSION].deselected_count += 1


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    report = yield
    if report.failed:
        collector.config.stash[SESSION].uncollected_count += 1
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Count the tests that are run. What ends the session in the middle of one is raised through here."""
    result = yield
    item.config.stash[SESSION].finished_count += 1
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Treat SIGTERM as Ctrl-C where benchmarks run; other suites may use the signal for something else."""
    if not any(map(uses_benchmarks, session.items)):
        return (yield)
    with sigterm_as_keyboard_interrupt():
        return (yield)


@pytest.fixture
def perf(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[Perf]:
    """Measure and judge one workload: `perf(call, items=32)`, `perf(loader)`, `perf.pair(a=..., b=...)`."""
    session = request.config.stash[SESSION]
    item: pytest.Item = request.node
    adapter = BenchmarkAdapter(benchmark)
    fixture = Perf(item, adapter, limits_for(item, session.environment.hard, session.file_limits), session)
    yield fixture
    if not fixture.was_used and not adapter.was_skipped_or_failed:
        adapter.mark_used()  # one complaint is enough
        if item.stash.get(TEST_FINISHED, False):
            pytest.fail("perf was never called, so nothing was measured", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Judge the limits of tests that use plain `benchmark`; refuse limits on a test that measures nothing."""
    result = yield
    pyfuncitem.stash[TEST_FINISHED] = True
    if "perf" in pyfuncitem.fixturenames:
        return result
    session = pyfuncitem.config.stash[SESSION]
    limits = limits_for(pyfuncitem, session.environment.hard, session.file_limits)
    if limits:
        judge_plain_benchmark(pyfuncitem, limits, session)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    perf_session = session.config.stash[SESSION]
    benchmarks = BenchmarkSessionAdapter.of_config(session.config)
    if benchmarks is None or benchmarks.is_disabled:
        return
    perf_session.record_plain_benchmarks(benchmarks.measurements())
    # Not by the exit status: -x ends a run as a failed test does, and pytest.exit as it pleases.
    is_complete = perf_session.finished_count == len(session.items) and not perf_session.uncollected_count
    if perf_session.results and perf_session.options.saves_runs:
        from perfsuite.pytest_plugin import save_run  # opens a store: not for runs that measure nothing

        selection = describe_selection(session.config, perf_session.deselected_count)
        save_run.save_run(perf_session, benchmarks, is_complete=is_complete, selection=selection)
    if perf_session.results and perf_session.options.report is not None:
        from perfsuite.pytest_plugin import run_report  # draws plots: not for runs that write no page

        perf_session.report_message = run_report.write_run_report(
            perf_session, perf_session.options.report, session.config.invocation_params.args, is_complete
        )


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    benchmarks = BenchmarkSessionAdapter.of_config(config)
    is_disabled = benchmarks is not None and benchmarks.is_disabled
    config.stash[SESSION].write_summary(terminalreporter, is_disabled=is_disabled)
