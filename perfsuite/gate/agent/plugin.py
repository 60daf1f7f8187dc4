"""The gate's end inside one arm's pytest: hand over each benchmark's call, work only while holding the token.

With worker and randomize it is copied onto the arm's path and loaded with `-p`; they need the standard
library and pytest and nothing else, so the gated project need not know of perfsuite.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
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

from perfsuite.gate.agent.randomize import keep_freed_memory
from perfsuite.gate.agent.worker import (
    AgentWorker,
    BenchmarkCall,
    GateConnection,
    Message,
    set_parent_death_signal,
    torch_compile_counts,
)

GATE_SOCKET_VARIABLE = "PERFSUITE_GATE_SOCKET"  # the number of the inherited socket
ROOT_VARIABLE = "PERFSUITE_GATE_ROOT"  # where this arm's sources lie
PACKAGES_VARIABLE = "PERFSUITE_GATE_PACKAGES"  # the project's own packages, which must come from there
SCRATCH_VARIABLE = (
    "PERFSUITE_GATE_SCRATCH"  # for tmp_path: killed in the middle, pytest would leave it for days
)
PERFSUITE_PATH_VARIABLE = (
    "PERFSUITE_GATE_PERFSUITE_PATH"  # a folder holding perfsuite, for counting where the arm has none
)
BENCHMARK_FIXTURES = frozenset({"benchmark", "benchmark_weave", "perf"})
# Third-party packages that take long to import; where both arms import one, their parent can.
SLOW_IMPORTS = (
    "pytest",
    "numpy",
    "PIL.Image",
    "scipy",
    "pandas",
    "cv2",
    "numba",
    "torch",
    "torch._dynamo",
    "torchvision",
    "albumentations",
)
IGNORED_MARKERS = frozenset({"timeout", "floor", "ceiling"})


class PerfsuiteFinder:
    """Finds perfsuite, and only it, in the gate's own installation; asked after everything else."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name != "perfsuite" or not os.environ.get(PERFSUITE_PATH_VARIABLE):
            return None
        package = Path(os.environ[PERFSUITE_PATH_VARIABLE]) / "perfsuite"
        return importlib.util.spec_from_file_location(
            name, package / "__init__.py", submodule_search_locations=[str(package)]
        )


class AgentPlugin:
    """What pytest is told to do in an arm: collect, say so, run what the gate names, hand over calls."""

    def __init__(self, line: GateConnection) -> None:
        self.connection = line
        self.worker = AgentWorker(line)
        self.outcomes: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.collect_errors: list[str] = []
        self.node = ""
        self.not_ended: dict[str, None] = {}  # of the tests to run, in their order
        self.stopped_by = ""  # pytest.exit, KeyboardInterrupt or an error inside pytest
        self.is_counting = False
        self.environment = _environment_without_pytest()

    # Options of a project's own configuration that would stop, split, slow or record the run.
    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "tolerance(share): slowdowns up to this are nobody's concern")
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
            "continue_on_collection_errors": True,  # a broken module is told to the gate; the others run
            "timeout": 0,
            "lf": False,
            "failedfirst": False,
            "newfirst": False,
            "stepwise": False,
            "basetemp": os.environ.get(SCRATCH_VARIABLE),
            # pytest-randomly's: else each side would draw its own data.
            "randomly_seed": zlib.crc32(os.environ.get("PYTHONHASHSEED", "").encode()),
            "usepdb": False,
            "trace": False,
        }
        for name, value in neutral.items():
            if hasattr(config.option, name):
                setattr(config.option, name, value)

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Iterator[None]:
        alone: dict[str, Any] = {"numprocesses": None, "dist": "no", "tx": []}
        for name, value in alone.items():
            if hasattr(config.option, name):
                setattr(config.option, name, value)
        return (yield)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.collect_errors.append(f"{report.nodeid}: {report.longreprtext[-2000:]}")

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Iterator[None]:
        result = yield
        mine = [item for item in items if BENCHMARK_FIXTURES & set(getattr(item, "fixturenames", ()))]
        if any("perf" in item.fixturenames for item in mine):  # type: ignore[attr-defined]
            self._patch_perf()
        self.connection.send(
            say="collected",
            items=[_describe_item(item) for item in mine],
            errors=self.collect_errors,
            strangers=_foreign_packages(),
            pytest_config=str(config.inipath or ""),
            imported=self._shared_imports(),
        )
        heard = self.connection.receive()
        self.is_counting = bool(heard["counting"])
        wanted = {node: place for place, node in enumerate(heard["run"])}
        chosen = sorted((i for i in mine if i.nodeid in wanted), key=lambda item: wanted[item.nodeid])
        for node in {node for item in chosen for node in item.listchain()}:
            # The wait for the token is not the test's own time, and limits are not what is judged here.
            node.own_markers = [mark for mark in node.own_markers if mark.name not in IGNORED_MARKERS]
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in wanted])
        items[:] = chosen
        self.not_ended = dict.fromkeys(item.nodeid for item in chosen)
        # What is imported stays: collecting garbage before each workload need not look through it again.
        gc.freeze()
        return result

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        fixture = sys.modules.get("pytest_benchmark.fixture")
        if fixture is not None:
            self._patch_benchmark(fixture.BenchmarkFixture)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.node = nodeid
        if self.is_counting:
            with suppress(ImportError):
                self.worker.compiled_before = torch_compile_counts()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        self.outcomes[report.nodeid].append((outcome, report.longreprtext[-3000:]))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.stopped_by = excinfo.exconly()

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.stopped_by = excinfo.exconly()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.not_ended.pop(nodeid, None)
        seen = self.outcomes.pop(nodeid, [])
        worst = next(
            (found for kind in ("failed", "xfailed", "skipped") for found in seen if found[0] == kind),
            ("passed", ""),
        )
        self.connection.send(say="end", node=nodeid, outcome=worst[0], detail=worst[1])

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        stopped: Message = {}
        if self.not_ended:
            reason = self.stopped_by or f"exit status {int(exitstatus)}"
            stopped = {"node": next(iter(self.not_ended)), "left": len(self.not_ended), "reason": reason}
        self.connection.send(say="finished", imported=self._shared_imports(), **stopped)

    def _shared_imports(self) -> list[str]:
        """What a parent may import for this arm: nothing where the project first sets variables for it."""
        if _environment_without_pytest() != self.environment:
            return []
        return [name for name in SLOW_IMPORTS if name in sys.modules]

    def _patch_perf(self) -> None:
        try:
            perf: Any = importlib.import_module("perfsuite.pytest_plugin.fixture")
        except ImportError:
            return
        perf.set_workload_server(self._serve_perf_call)

    def _serve_perf_call(self, name: str, call: Callable[[], Any], items: float) -> None:
        self.worker.serve(self.node, name, BenchmarkCall(call), items)

    def _patch_benchmark(self, fixture: Any) -> None:
        plugin = self

        def raw(self: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if args or kwargs:
                workload = BenchmarkCall(function, lambda: (args, kwargs))
                workload.repeatable = True
            else:
                workload = BenchmarkCall(function)
            plugin._serve_benchmark_call(self, workload)
            return function(*args, **kwargs)

        def raw_pedantic(
            self: Any,
            target: Callable[..., Any],
            args: Any = (),
            kwargs: Any = None,
            setup: Callable[[], Any] | None = None,
            teardown: Callable[..., Any] | None = None,
            rounds: int = 1,
            warmup_rounds: int = 0,
            iterations: int = 1,
        ) -> Any:
            given = (args, kwargs or {})

            def prepare() -> tuple[Any, Any]:
                made = setup() if setup else None
                if made and (args or kwargs):
                    raise TypeError("Can't use `args` or `kwargs` if `setup` returns the arguments.")
                return made or given

            if not isinstance(iterations, int) or iterations < 1:
                raise ValueError("Must have positive int for `iterations`.")
            if iterations > 1 and setup:
                raise ValueError("Can't use more than 1 `iterations` with a `setup` function.")
            workload = BenchmarkCall(target, prepare, teardown, iterations)
            workload.repeatable = setup is None and teardown is None
            plugin._serve_benchmark_call(self, workload)
            last_args, last_kwargs = prepare()
            result = target(*last_args, **last_kwargs)
            if teardown is not None:
                teardown(*last_args, **last_kwargs)
            return result

        fixture._raw, fixture._raw_pedantic = raw, raw_pedantic

    def _serve_benchmark_call(self, fixture: Any, workload: BenchmarkCall) -> None:
        workload.timer = getattr(fixture, "_timer", time.perf_counter)
        workload.without_gc = bool(getattr(fixture, "_disable_gc", False))
        taken = self.worker.serve(self.node, self.node, workload)
        # Tests may look at benchmark.stats afterward.
        stats = fixture._make_stats(1)
        for seconds in taken or [workload.sample(1)]:
            stats.update(seconds)


def _environment_without_pytest() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def _describe_item(item: pytest.Item) -> Message:
    # Of the whole repository: what pytest tells is of a root that it chose itself.
    file = os.path.relpath(item.path, Path(os.environ[ROOT_VARIABLE]).resolve())
    told: Message = {"id": item.nodeid, "file": file, "line": item.location[1]}
    mark = item.get_closest_marker("tolerance")
    return {**told, "tolerance": _as_json(mark.args[0])} if mark is not None and mark.args else told


def _as_json(written: Any) -> Any:
    """A marker's number as it was written: the gate refuses what is none."""
    if isinstance(written, bool | str):
        return written
    try:
        return float(written)
    except (TypeError, ValueError, OverflowError):
        return repr(written)


def _foreign_packages() -> list[list[str]]:
    """The project's own packages that were imported from somewhere other than this arm."""
    root = Path(os.environ[ROOT_VARIABLE]).resolve()
    found = []
    for name in filter(None, os.environ.get(PACKAGES_VARIABLE, "").split(",")):
        module = sys.modules.get(name)
        if module is None:
            continue
        places = [module.__file__] if getattr(module, "__file__", None) else list(module.__path__)
        found += [[name, str(p)] for p in places if p and not Path(p).resolve().is_relative_to(root)]
    return found


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    # Coverage traces every line; it may have no part in what is timed.
    if hasattr(early_config.known_args_namespace, "cov_source"):
        early_config.known_args_namespace.cov_source = []
    return (yield)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    number = os.environ.pop(GATE_SOCKET_VARIABLE, None)
    if number is None:  # a pytest that a benchmark itself starts
        return
    set_parent_death_signal()
    keep_freed_memory()
    sys.meta_path.append(PerfsuiteFinder)
    pluginmanager.register(AgentPlugin(GateConnection(int(number))), "perfsuite-agent")
