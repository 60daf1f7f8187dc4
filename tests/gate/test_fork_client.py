"""Arms forked from one parent: told apart, ended, and not forked where that could change what is measured."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfsuite.gate import launch
from perfsuite.gate.fork_client import ForkServerClient, ForkServerError, can_fork
from perfsuite.gate.git import Repository
from perfsuite.gate.launch import Launcher
from perfsuite.gate.pair_runner import collect_suites, open_pair_runner
from perfsuite.gate.side_process import SideProcess, SideProcessError
from perfsuite.gate.worktree import Worktree
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import BENCHMARKS, Project, jobs, quick_settings, src_layout

pytestmark = pytest.mark.skipif(not can_fork(), reason="arms are forked on Linux only")
REPORTS_PARENT = """
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
    with Path(os.environ["TMPDIR"], "parents").open("a") as file:
        file.write(f"{os.getppid()} {side}\\n")
    benchmark(jobs.decode)
"""


def parent_processes(project: Project, **more: str) -> list[tuple[int, str]]:
    """(parent, side) of every arm of a gate of two pairs, whose planted slowdown is found."""
    files = src_layout(**{"benchmarks/test_jobs.py": REPORTS_PARENT, **more})
    project.commit({**files, "src/toy/jobs.py": jobs() + '\nSIDE = "base"\n'})
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012) + '\nSIDE = "head"\n'})
    (found,) = project.gate().workloads
    assert found.outcome is Outcome.REGRESSED, found.worst.reason
    said = Path(os.environ["TMPDIR"], "parents").read_text().split()
    return list(zip(map(int, said[::2]), said[1::2], strict=True))


def test_both_sides_share_a_fork_server_and_run_their_own_source(project: Project) -> None:
    told = parent_processes(project)
    assert {side for _, side in told} == {"base", "head"}
    assert len({parent for parent, _ in told}) == 1
    assert told[0][0] != os.getpid()


def test_a_project_that_sets_variables_before_importing_is_not_forked(project: Project) -> None:
    sets = 'import os\n\nos.environ["OMP_NUM_THREADS"] = "1"\n\nimport numpy\n'
    told = parent_processes(project, **{"benchmarks/conftest.py": sets})
    assert {parent for parent, _ in told} == {os.getpid()}


def test_the_gate_continues_without_a_dead_fork_server(project: Project) -> None:
    project.commit(src_layout(**{"benchmarks/test_jobs.py": "import numpy\n" + BENCHMARKS}))
    settings = quick_settings("HEAD", null=True)
    with open_pair_runner(project.root, settings, random.Random(1)) as stand:
        nodes = collect_suites(stand).nodes("head")
        assert len(stand.run(nodes).workload_turns) == len(nodes) == 2
        assert stand.fork_servers.current is not None
        stand.fork_servers.current.process.kill()
        stand.fork_servers.current.process.wait()
        assert len(stand.run(nodes).workload_turns) == 2
        assert stand.fork_servers.current is None


def environment(folder: Path) -> dict[str, str]:
    plugin = launch.install_agent(folder)
    (folder / "modules").mkdir()
    launcher = Launcher(Repository(folder, folder), plugin, folder)
    around = launcher.fork_server_environment(launch.randomized_environment(random.Random(0)))
    return {**around, "PYTHONPATH": f"{plugin}{os.pathsep}{folder / 'modules'}"}


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[ForkServerClient]:
    made = ForkServerClient(command(), environment(tmp_path), tmp_path, ["json"])
    yield made
    made.close()


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
    around = environment(tmp_path)
    (tmp_path / "modules" / "heavy.py").write_text(module)
    with pytest.raises(ForkServerError, match=why):
        ForkServerClient(command(), around, tmp_path, ["heavy"])


@pytest.mark.parametrize(
    ("last_deed", "how"),
    [("os._exit(9)", "exit status 9"), (f"os.kill(os.getpid(), {int(signal.SIGTERM)})", "signal SIGTERM")],
)
def test_the_exit_status_of_a_forked_side_is_known(
    tmp_path: Path, parent: ForkServerClient, last_deed: str, how: str
) -> None:
    (tmp_path / "test_dies.py").write_text(f"import os\nprint('last words', flush=True)\n{last_deed}\n")
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s", "test_dies.py"]
    with (
        SideProcess("head", words, dict(os.environ), tmp_path, tmp_path / "log", parent) as arm,
        pytest.raises(SideProcessError, match=f"(?s){how}.*last words"),
    ):
        arm.receive(600.0)


def waiting_side(folder: Path, parent: ForkServerClient) -> SideProcess:
    (folder / "test_waits.py").write_text("def test_waits(benchmark):\n    benchmark(int)\n")
    plugin = str(folder / "plugin")
    around = {**os.environ, "PYTHONPATH": plugin, "PERFSUITE_GATE_ROOT": str(folder)}
    tree = Worktree("head", folder, folder, "", "")
    words = launch.pytest_command(tree, ["-p", "pytest_benchmark.plugin", "test_waits.py"])
    arm = SideProcess("head", words, around, folder, folder / "log", parent)
    assert arm.receive(600.0)["event"] == "collected", arm.tail()
    return arm


def test_a_forked_side_ends_when_it_is_closed(
    tmp_path: Path, parent: ForkServerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    arm = waiting_side(tmp_path, parent)
    arm.close()
    assert not Path(f"/proc/{arm.process.pid}").exists()


def test_a_forked_side_does_not_outlive_its_fork_server(
    tmp_path: Path, parent: ForkServerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    with waiting_side(tmp_path, parent) as arm:
        parent.process.kill()
        with pytest.raises(SideProcessError, match="signal SIGKILL"):
            arm.receive(600.0)
