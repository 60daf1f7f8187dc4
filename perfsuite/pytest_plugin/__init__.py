"""The pytest plugin: the `perf` fixture, the markers `floor` and `ceiling`, the `--perf-...` options.

It rides on pytest-benchmark, whose options, table and JSON keep working; this package alone knows it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from perfsuite.errors import PerfsuiteError
from perfsuite.gate.signals import sigterm_as_keyboard_interrupt
from perfsuite.pytest_plugin.fixture import Perf
from perfsuite.pytest_plugin.images import image_dir
from perfsuite.pytest_plugin.markers import MARKERS, limits_for
from perfsuite.pytest_plugin.options import add_options
from perfsuite.pytest_plugin.outcome import judge_plain_benchmark
from perfsuite.pytest_plugin.session import PerfSession

__all__ = ["image_dir", "perf"]  # the fixtures

SESSION = pytest.StashKey[PerfSession]()
TEST_FINISHED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    try:
        config.stash[SESSION] = PerfSession.from_config(config)
    except PerfsuiteError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> str:
    session = config.stash[SESSION]
    facts = session.environment.hard
    return (
        f"perfsuite: environment {session.environment.fingerprint}: {facts['cpu']}, {facts['cores']} cores,"
        f" GPU {facts['gpu']}, torch {facts['torch']}"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read every limit before anything runs: a mistake in one is told at once, not an hour later."""
    session = config.stash[SESSION]
    for item in items:
        try:
            limits_for(item, session.environment.hard, session.file_limits)
        except PerfsuiteError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from error
    if any({"perf", "benchmark"} & set(getattr(item, "fixturenames", ())) for item in items):
        from perfsuite.pytest_plugin import reference  # opens a store: not for runs that measure nothing

        try:
            session.reference = reference.find_reference(session.options, session.environment)
        except PerfsuiteError as error:
            raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    if not any({"perf", "benchmark"} & set(getattr(item, "fixturenames", ())) for item in session.items):
        return (yield)  # others may mean something else by the signal
    with sigterm_as_keyboard_interrupt():
        return (yield)


@pytest.fixture
def perf(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[Perf]:
    """Measure and judge one workload: `perf(call, items=32)`, `perf(loader)`, `perf.pair(a=..., b=...)`."""
    session = request.config.stash[SESSION]
    item: pytest.Item = request.node
    limits = limits_for(item, session.environment.hard, session.file_limits)
    fixture = Perf(item, benchmark, limits, session)
    yield fixture
    if not fixture.was_used and not benchmark.skipped and not benchmark.has_error:
        benchmark._mode = "perf(...)"  # one complaint is enough
        if item.stash.get(TEST_FINISHED, False):
            pytest.fail(f"{item.nodeid}: perf was never called, so nothing was measured", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Limits hold for plain `benchmark` tests too, and on a test that measures nothing they are a mistake."""
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
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    mine = session.config.stash[SESSION]
    benchmarks = getattr(session.config, "_benchmarksession", None)
    if benchmarks is None or benchmarks.disabled:
        return
    mine.record_plain_benchmarks(benchmarks.benchmarks)
    if mine.results and mine.options.saves_runs:
        from perfsuite.pytest_plugin import save_run  # no store is opened in runs that measure nothing

        save_run.save_run(mine, session.config, is_complete=exitstatus != pytest.ExitCode.INTERRUPTED)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    benchmarks = getattr(config, "_benchmarksession", None)
    config.stash[SESSION].write_summary(
        terminalreporter, is_disabled=benchmarks is not None and benchmarks.disabled
    )
