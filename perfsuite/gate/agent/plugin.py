"""The gate's pytest plugin inside one side's process.

The gate copies this folder onto the side's import path and loads this module with `-p`, so the gated project
needs nothing of perfsuite. The plugin reports what was collected, runs the tests that the gate names, and
hands each benchmark's call to the worker, which runs it only at the gate's command.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from .benchmark_call import BenchmarkCall
from .benchmark_fixture import patch_benchmark
from .connection import GateConnection, Message, set_parent_death_signal
from .optional import PerfsuiteFinder, set_workload_server, torch_compile_counts
from .randomize import keep_freed_memory
from .recording.plugin import RecorderPlugin
from .recording.recorder import Recorder
from .slow_imports import ImportWatch
from .variables import (
    GATE_SOCKET_VARIABLE,
    PACKAGES_VARIABLE,
    RECORDING_VARIABLE,
    REPOSITORY_VARIABLE,
    ROOT_VARIABLE,
    SCRATCH_VARIABLE,
)
from .worker import AgentWorker

BENCHMARK_FIXTURES = frozenset({"benchmark", "benchmark_weave", "perf"})
IGNORED_MARKERS = frozenset({"timeout", "floor", "ceiling"})


class AgentPlugin:
    """pytest hooks of a gated process."""

    def __init__(self, connection: GateConnection) -> None:
        self.connection = connection
        self.worker = AgentWorker(connection)
        self.outcomes: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.collect_errors: list[tuple[str, str]] = []  # node, report
        self.node = ""
        self.unfinished: dict[str, None] = {}  # tests to run that have not ended, in their order
        self.stop_reason = ""  # pytest.exit, KeyboardInterrupt or an error inside pytest
        self.is_counting = False
        self.imports = ImportWatch()
        sys.meta_path.insert(0, self.imports)

    # Neutralize options of the project's configuration that would stop, split, slow or record the run.
    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "tolerance(fraction): ignore slowdowns up to this fraction")
        neutral: dict[str, Any] = {
            "benchmark_disable": False,
            "benchmark_enable": True,
            "benchmark_skip": False,
            "benchmark_save": None,
            "benchmark_autosave": None,
            "benchmark_json": None,
            "benchmark_compare": None,
            "benchmark_compare_fail": [],
            "benchmark_histogram": [],
            "benchmark_cprofile": None,
            "maxfail": 0,
            "continue_on_collection_errors": True,  # the gate reports a broken module; the others still run
            "timeout": 0,
            "lf": False,
            "failedfirst": False,
            "newfirst": False,
            "stepwise": False,
            "basetemp": os.environ.get(SCRATCH_VARIABLE),
            # pytest-randomly's seed: the time by default, which would give each side other data.
            "randomly_seed": zlib.crc32(os.environ.get("PYTHONHASHSEED", "").encode()),
            "usepdb": False,
            "trace": False,
            "no_header": True,  # nobody reads it, and plugins import much for it
        }
        _set_options(config, neutral)

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Iterator[None]:
        _set_options(config, {"numprocesses": None, "dist": "no", "tx": []})
        return (yield)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.collect_errors.append((report.nodeid, report.longreprtext[-2000:]))

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Iterator[None]:
        result = yield
        benchmarks = [item for item in items if BENCHMARK_FIXTURES & _fixture_names(item)]
        if any("perf" in _fixture_names(item) for item in benchmarks):
            set_workload_server(self._serve_workload)
        self.connection.send(
            event="collected",
            items=[_describe_item(item) for item in benchmarks],
            errors=self.collect_errors,
            foreign_packages=_foreign_packages(),
            modules_of_repository=_modules_of_repository(),
            pytest_config=str(config.inipath or ""),
            shared_imports=self.imports.shareable(_project_packages()),
        )
        command = self.connection.receive()
        self.is_counting = bool(command["is_counting"])
        positions = {node: position for position, node in enumerate(command["nodes"])}
        selected = sorted(
            (item for item in benchmarks if item.nodeid in positions), key=lambda item: positions[item.nodeid]
        )
        for node in {node for item in selected for node in item.listchain()}:
            # Waiting for a turn would exceed a timeout, and limits are not what a gate judges.
            node.own_markers = [mark for mark in node.own_markers if mark.name not in IGNORED_MARKERS]
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in positions])
        items[:] = selected
        self.unfinished = dict.fromkeys(item.nodeid for item in selected)
        # Collecting garbage before each workload need not visit imported objects again.
        gc.freeze()
        return result

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        fixture = sys.modules.get("pytest_benchmark.fixture")
        if fixture is not None:
            patch_benchmark(fixture.BenchmarkFixture, self._serve_benchmark)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.node = nodeid
        if self.is_counting:
            with suppress(ImportError):
                self.worker.compile_counts_before = torch_compile_counts()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        self.outcomes[report.nodeid].append((outcome, report.longreprtext[-3000:]))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.stop_reason = excinfo.exconly()

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.stop_reason = excinfo.exconly()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.unfinished.pop(nodeid, None)
        phases = self.outcomes.pop(nodeid, [])
        outcome, detail = next(
            (phase for kind in ("failed", "xfailed", "skipped") for phase in phases if phase[0] == kind),
            ("passed", ""),
        )
        self.connection.send(event="test_ended", node=nodeid, outcome=outcome, detail=detail)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        # Nobody reads the summary either; for it, hypothesis imports itself, which takes two seconds.
        setattr(session.config.hook, "pytest_terminal_summary", _skip_summary)  # noqa: B010
        early_end: Message = {}
        if self.unfinished:
            reason = self.stop_reason or f"exit status {int(exitstatus)}"
            first = next(iter(self.unfinished))
            early_end = {"node": first, "unfinished_count": len(self.unfinished), "reason": reason}
        self.connection.send(
            event="session_finished", shared_imports=self.imports.shareable(_project_packages()), **early_end
        )

    def _serve_workload(self, name: str, call: Callable[[], Any], items: float) -> None:
        self.worker.serve(self.node, name, BenchmarkCall(call), items)

    def _serve_benchmark(self, benchmark: Any, workload: BenchmarkCall) -> None:
        workload.timer = getattr(benchmark, "_timer", time.perf_counter)
        workload.without_gc = bool(getattr(benchmark, "_disable_gc", False))
        samples = self.worker.serve(self.node, self.node, workload)
        # A test may read benchmark.stats afterward.
        stats = benchmark._make_stats(1)
        for seconds in samples or [workload.sample(1)]:
            stats.update(seconds)


def _skip_summary(**_: Any) -> list[Any]:
    return []


def _set_options(config: pytest.Config, options: dict[str, Any]) -> None:
    for name, value in options.items():
        if hasattr(config.option, name):
            setattr(config.option, name, value)


def _fixture_names(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


def _describe_item(item: pytest.Item) -> Message:
    # Relative to the repository: pytest's own location is relative to a root that it chooses itself.
    file = os.path.relpath(item.path, Path(os.environ[ROOT_VARIABLE]).resolve())
    description: Message = {"id": item.nodeid, "file": file, "line": item.location[1]}
    mark = item.get_closest_marker("tolerance")
    if mark is not None and mark.args:
        description["tolerance"] = _as_json(mark.args[0])
    return description


def _as_json(value: Any) -> Any:
    """A marker's argument as JSON; the gate refuses what is not a number."""
    if isinstance(value, bool | str):
        return value
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return repr(value)


def _project_packages() -> list[str]:
    return list(filter(None, os.environ.get(PACKAGES_VARIABLE, "").split(",")))


def _foreign_packages() -> list[list[str]]:
    """The project's own packages that were imported from outside this side's worktree."""
    root = Path(os.environ[ROOT_VARIABLE]).resolve()
    foreign = []
    for name in _project_packages():
        module = sys.modules.get(name)
        if module is None:
            continue
        paths = [module.__file__] if getattr(module, "__file__", None) else list(module.__path__)
        foreign += [
            [name, str(path)] for path in paths if path and not Path(path).resolve().is_relative_to(root)
        ]
    return foreign


def _modules_of_repository() -> list[list[str]]:
    """Modules imported from the user's own checkout, where both sides find the same ones: name, path in it.

    An editable install of a neighboring package leads there.
    """
    repository = os.environ[REPOSITORY_VARIABLE] + os.sep
    elsewhere = (os.environ[ROOT_VARIABLE] + os.sep, sys.prefix + os.sep)  # both may lie in the repository
    return [
        [name, os.path.relpath(file, repository)]
        for name, module in list(sys.modules.items())
        if isinstance(file := getattr(module, "__file__", None), str)
        and file.startswith(repository)
        and not file.startswith(elsewhere)
    ]


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    # Coverage traces every line, which would be part of what is timed.
    if hasattr(early_config.known_args_namespace, "cov_source"):
        early_config.known_args_namespace.cov_source = []
    return (yield)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    file_descriptor = os.environ.pop(GATE_SOCKET_VARIABLE, None)
    if file_descriptor is None:  # a pytest process that a benchmark starts itself
        return
    set_parent_death_signal()
    keep_freed_memory()
    sys.meta_path.append(PerfsuiteFinder)
    agent = AgentPlugin(GateConnection(int(file_descriptor)))
    pluginmanager.register(agent, "perfsuite-agent")
    request = os.environ.pop(RECORDING_VARIABLE, None)
    if request is not None:
        agent.worker.is_recorded = True
        recorder = RecorderPlugin(Recorder.from_file(request))
        pluginmanager.register(recorder, "perfsuite-recorder")
