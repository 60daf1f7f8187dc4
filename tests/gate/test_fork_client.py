"""Sides forked from one server, and when they are not: where forking could change what is measured."""

from __future__ import annotations

import importlib
import importlib.util
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from perfsuite.gate import launch
from perfsuite.gate.agent.slow_imports import SLOW_IMPORTS
from perfsuite.gate.agent.variables import ROOT_VARIABLE, SET_BY_TORCH
from perfsuite.gate.collect_suites import collect_suites
from perfsuite.gate.fork_client import ForkServerClient, ForkServerError, ForkServerRotation, can_fork
from perfsuite.gate.git import Repository
from perfsuite.gate.launch import Launcher
from perfsuite.gate.prepare_sides import open_pair_runner
from perfsuite.gate.side_process import SideProcess, SideProcessError
from perfsuite.gate.worktree import Worktree
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import (
    BENCHMARKS,
    MAKE_ENVIRONMENT,
    Project,
    jobs,
    outcomes,
    quick_settings,
    src_layout,
)

pytestmark = pytest.mark.skipif(not can_fork(), reason="sides are forked on Linux only")
RECORDS_PARENT = """
import os
from pathlib import Path

import numpy
import pytest
from toy import clock, jobs


@pytest.mark.benchmark(timer=clock.now)
def test_decode(benchmark):
    side = os.environ["PERFSUITE_GATE_SIDE"]
    assert Path(jobs.__file__).is_relative_to(os.environ["PERFSUITE_GATE_ROOT"])
    assert jobs.SIDE == side
    mapped = Path("/proc", str(os.getppid()), "maps").read_text()
    with Path(os.environ["TMPDIR"], "parents").open("a") as file:
        file.write(f"{os.getppid()} {side} {'/numpy/' in mapped}\\n")
    benchmark(jobs.decode)
"""


class Parent(NamedTuple):
    """Of a side's process in a pair."""

    pid: int
    side: str
    has_numpy: bool


def parent_processes(project: Project, prepare: Sequence[str] = (), **more: str) -> list[Parent]:
    """The parent of every process in a gate of two pairs that finds a planted slowdown."""
    files = src_layout(**{"benchmarks/test_jobs.py": RECORDS_PARENT, **more})
    project.commit({**files, "src/toy/jobs.py": jobs() + '\nSIDE = "base"\n'})
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012) + '\nSIDE = "head"\n'})
    (workload,) = project.gate(prepare=tuple(prepare)).workloads
    assert workload.outcome is Outcome.REGRESSED, workload.worst.reason
    lines = Path(os.environ["TMPDIR"], "parents").read_text().splitlines()
    return [Parent(int(pid), side, has_numpy == "True") for pid, side, has_numpy in map(str.split, lines)]


def test_both_sides_share_a_fork_server_and_run_their_own_source(project: Project) -> None:
    processes = parent_processes(project)
    assert {each.side for each in processes} == {"base", "head"}
    assert len({each.pid for each in processes}) == 1
    assert processes[0].pid != os.getpid()
    assert processes[0].has_numpy


# With a package besides, and with the finder that setuptools makes for `-e`.
BUILD = (
    MAKE_ENVIRONMENT
    + """
finder = f"MAPPING = {{'toy': '{Path.cwd()}/src/toy'}}\\nNAMESPACES = {{'more': ['{Path.cwd()}/more']}}\\n"
(site / "__editable___toy_finder.py").write_text(finder)
(site / "editable.pth").write_text("import __editable___toy_finder\\n")
(site / "library.py").write_text(f"VERSION = {VERSION_OF_SIDE!r}\\n")
"""
)
IN_OWN_ENVIRONMENT = """
    import sys

    import __editable___toy_finder as finder
    import library
    from toy import jobs as again

    environment = Path(os.environ["PERFSUITE_GATE_ROOT"], ".venv")
    assert Path(sys.prefix) == Path(sys.exec_prefix) == environment == Path(sys.executable).parents[1]
    assert Path(library.__file__).is_relative_to(environment)
    assert Path(again.__file__).is_relative_to(environment.parent)
    assert Path(finder.MAPPING["toy"]).is_relative_to(environment.parent)
    assert Path(*finder.NAMESPACES["more"]).is_relative_to(environment.parent)
"""


@pytest.mark.parametrize(
    ("version", "is_linked", "is_forked"),
    [("1", False, True), ("1", True, True), ("Path.cwd().name", False, False)],
    ids=["same", "behind a link", "another version"],
)
def test_sides_with_the_same_packages_in_environments_of_their_own_share_a_fork_server(
    project: Project, version: str, is_linked: bool, is_forked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_linked:  # an installer may write down where the link leads to
        link = Path(os.environ["TMPDIR"]).with_name("link")
        link.symlink_to(os.environ["TMPDIR"])
        monkeypatch.setenv("TMPDIR", str(link))
    files = {
        "build.py": BUILD.replace("VERSION_OF_SIDE", version),
        "benchmarks/test_jobs.py": RECORDS_PARENT + IN_OWN_ENVIRONMENT,
    }
    parents = {each.pid for each in parent_processes(project, [f"{sys.executable} build.py"], **files)}
    assert len(parents) == 1
    assert (os.getpid() not in parents) is is_forked


TORCH_VARIABLES = sorted(SET_BY_TORCH)


@pytest.mark.parametrize(
    ("conftest", "has_numpy"),
    [
        ('import os\nos.environ["OMP_NUM_THREADS"] = "1"\nimport numpy\n', False),
        ('import os\nimport numpy\nos.environ["OMP_NUM_THREADS"] = "1"\n', True),
        (
            f"import os\nos.environ |= dict.fromkeys({TORCH_VARIABLES}, str(os.getpid()))\nimport numpy\n",
            True,
        ),
    ],
    ids=["before the import", "after the import", "set by torch"],
)
def test_what_a_project_imports_with_variables_of_its_own_is_not_imported_once(
    project: Project, conftest: str, has_numpy: bool
) -> None:
    processes = parent_processes(project, **{"benchmarks/conftest.py": conftest})
    assert os.getpid() not in {each.pid for each in processes}  # pytest is imported once
    assert {each.has_numpy for each in processes} == {has_numpy}


def test_a_project_that_is_slow_to_import_itself_is_forked_without_its_own_package(project: Project) -> None:
    benchmark = f"import pandas\n{RECORDS_PARENT}    assert pandas.IS_OWN\n"
    files = {"src/pandas/__init__.py": "IS_OWN = True\n", "benchmarks/test_jobs.py": benchmark}
    assert os.getpid() not in {each.pid for each in parent_processes(project, **files)}


def test_a_package_that_pytest_imports_is_not_forked_where_it_is_the_projects_own(project: Project) -> None:
    """The fork server would import the installed one, which both sides would then measure."""
    (installed,) = importlib.import_module("iniconfig").__path__
    package = {f"src/iniconfig/{path.name}": path.read_text() for path in Path(installed).glob("*.py")}
    benchmark = BENCHMARKS.replace("jobs.decode", "wait").replace(
        "pytestmark",
        'def wait():\n    clock.work(getattr(iniconfig, "SECONDS", 1))\n    return "decoded"\n\n\npytestmark',
    )
    files = src_layout(**package, **{"benchmarks/test_jobs.py": f"import iniconfig, numpy\n{benchmark}"})
    source = package["src/iniconfig/__init__.py"]
    project.commit({**files, "src/iniconfig/__init__.py": f"{source}\nSECONDS = 0.001\n"})
    project.commit({"src/iniconfig/__init__.py": f"{source}\nSECONDS = 0.0012\n"})
    assert outcomes(project.gate(time_everything=False))["test_decode"] is Outcome.REGRESSED


class StubServer:
    def __init__(self, modules: Sequence[str]) -> None:
        self.modules = list(modules)

    def close(self) -> None:
        pass


def test_a_fork_server_is_replaced_where_it_imports_too_little() -> None:
    started: list[StubServer] = []

    def start(modules: Sequence[str]) -> Any:
        started.append(StubServer(modules))
        return started[-1]

    servers = ForkServerRotation(start, is_allowed=True)
    for modules in (["a"], ["a", "b"], ["a"], ["b"]):
        servers.set_shared_imports(modules, modules)
        servers.rotate()
    assert [server.modules for server in started] == [["a"], ["a", "b"]]


def test_the_gate_continues_without_a_dead_fork_server(project: Project) -> None:
    project.commit(src_layout(**{"benchmarks/test_jobs.py": "import numpy\n" + BENCHMARKS}))
    settings = quick_settings("HEAD", null=True)
    with open_pair_runner(project.root, settings, random.Random(1)) as runner:
        nodes = collect_suites(runner).nodes("head")
        assert len(runner.run(nodes).workload_turns) == len(nodes) == 2
        assert runner.fork_servers.current is not None
        runner.fork_servers.current.process.kill()
        runner.fork_servers.current.process.wait()
        assert len(runner.run(nodes).workload_turns) == 2
        assert runner.fork_servers.current is None


def environment(folder: Path) -> dict[str, str]:
    plugin = launch.install_agent(folder)
    (folder / "modules").mkdir()
    launcher = Launcher(Repository(folder, folder), plugin, folder)
    tree = Worktree("head", folder, folder, commit="", label="")
    variables = launcher.fork_server_environment(tree, launch.randomized_environment(random.Random(0)))
    return {**variables, "PYTHONPATH": f"{plugin}{os.pathsep}{folder / 'modules'}"}


@pytest.fixture
def fork_server(tmp_path: Path) -> Iterator[ForkServerClient]:
    client = ForkServerClient(command(), environment(tmp_path), tmp_path, ["json"])
    yield client
    client.close()


def command() -> list[str]:
    return [sys.executable, "-m", f"{launch.AGENT_PACKAGE}.fork_server"]


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (
            "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
            "2 threads",
        ),
        ("raise RuntimeError('no license')", "no license"),
    ],
)
def test_imports_that_start_threads_or_fail_rule_out_a_fork_server(
    tmp_path: Path, module: str, why: str
) -> None:
    variables = environment(tmp_path)
    (tmp_path / "modules" / "heavy.py").write_text(module)
    with pytest.raises(ForkServerError, match=why):
        ForkServerClient(command(), variables, tmp_path, ["heavy"])


def test_an_import_of_the_projects_own_package_rules_out_a_fork_server(tmp_path: Path) -> None:
    variables = environment(tmp_path)
    (tmp_path / "modules" / "heavy.py").write_text("import toy")
    (tmp_path / "modules" / "toy.py").write_text("")
    with pytest.raises(ForkServerError, match="toy, which is the project's own, was imported"):
        ForkServerClient(command(), variables, tmp_path, ["heavy"], project_packages=["jobs", "toy"])


@pytest.mark.parametrize(
    ("last_statement", "how"),
    [("os._exit(9)", "exit status 9"), (f"os.kill(os.getpid(), {int(signal.SIGTERM)})", "signal SIGTERM")],
)
def test_the_exit_status_of_a_forked_side_is_known(
    tmp_path: Path, fork_server: ForkServerClient, last_statement: str, how: str
) -> None:
    (tmp_path / "test_dies.py").write_text(f"import os\nprint('out of disk', flush=True)\n{last_statement}\n")
    arguments = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s", "test_dies.py"]
    with (
        SideProcess(
            "head",
            arguments,
            {**os.environ, ROOT_VARIABLE: str(tmp_path)},
            tmp_path,
            tmp_path / "log",
            fork_server,
        ) as process,
        pytest.raises(SideProcessError, match=f"(?s){how}.*out of disk"),
    ):
        process.receive(600.0)


def waiting_side(folder: Path, fork_server: ForkServerClient) -> SideProcess:
    (folder / "test_waits.py").write_text("def test_waits(benchmark):\n    benchmark(int)\n")
    plugin = str(folder / "plugin")
    roots = dict.fromkeys(("PERFSUITE_GATE_ROOT", "PERFSUITE_GATE_REPOSITORY"), str(folder))
    variables = {**os.environ, "PYTHONPATH": plugin, **roots}
    tree = Worktree("head", folder, folder, "", "")
    arguments = launch.pytest_command(tree, ["-p", "pytest_benchmark.plugin", "test_waits.py"])
    process = SideProcess("head", arguments, variables, folder, folder / "log", fork_server)
    assert process.receive(600.0)["event"] == "collected", process.tail()
    return process


def test_a_forked_side_ends_when_it_is_closed(
    tmp_path: Path, fork_server: ForkServerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    process = waiting_side(tmp_path, fork_server)
    process.close()
    assert not Path(f"/proc/{process.process.pid}").exists()


def test_a_forked_side_does_not_outlive_its_fork_server(
    tmp_path: Path, fork_server: ForkServerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    with waiting_side(tmp_path, fork_server) as process:
        fork_server.process.kill()
        with pytest.raises(SideProcessError, match="signal SIGKILL"):
            process.receive(600.0)


def test_no_import_of_the_fork_server_asks_for_a_device() -> None:
    """A process that has asked may not use CUDA in one that is forked from it."""
    code = """
import importlib, sys
import torch

asked = []
torch._C._cuda_getDeviceCount = lambda: asked.append(sys.argv) or 0
for name in sys.argv[1:]:
    importlib.import_module(name)
assert not asked, asked
torch.cuda.is_available()
assert asked, "asking is not noticed"
"""
    names = [name for name in SLOW_IMPORTS if importlib.util.find_spec(name.partition(".")[0])]
    assert "torch._inductor.compile_fx" in names
    subprocess.run([sys.executable, "-c", code, *names], check=True)
