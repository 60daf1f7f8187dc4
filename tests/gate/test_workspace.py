"""A gate that is killed at any moment leaves nothing after the next start."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfsuite.errors import ExitCode, PerfsuiteError
from perfsuite.gate import workspace
from perfsuite.gate.gate import gate
from perfsuite.gate.git import Repository
from perfsuite.gate.worktree import add_worktree
from tests.gate.projects import Project, jobs, quick_settings, src_layout

GATE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in the background
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.gate.projects import quick_settings
from perfsuite.gate.gate import gate
gate(quick_settings(max_pairs=3), Path({project!r}))
"""
ROOT = Path(__file__).parents[2]


def start(project: Project) -> subprocess.Popen[bytes]:
    code = GATE.format(root=str(ROOT), project=str(project.root))
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def leftovers(project: Project, tmp: Path) -> list[str]:
    """Everything that a gate could have left: files, worktrees, processes."""
    runs = list(tmp.glob("perfsuite-gate-*/*"))
    worktrees = project.git("worktree", "list", "--porcelain").count("worktree ") - 1
    pids = [pid for run in runs for pid in workspace.processes_of_run(run.name)]
    return [*map(str, runs), *["worktree"] * worktrees, *(f"process {pid}" for pid in pids)]


def state(project: Project) -> list[tuple[str, bytes]]:
    paths = sorted(path for path in project.root.rglob("*") if path.is_file())
    return [(str(path), path.read_bytes()) for path in paths]


@pytest.fixture
def ready(project: Project) -> Project:
    project.commit(src_layout())
    project.commit({"src/toy/jobs.py": jobs(decode=0.0011)})
    return project


def kill_and_look(project: Project, tmp: Path, after_seconds: float, number: int) -> None:
    before = state(project)
    running = start(project)
    time.sleep(after_seconds)
    running.send_signal(number)
    running.wait(timeout=30)
    look_after_next_start(project, tmp)
    assert state(project) == before


def look_after_next_start(project: Project, tmp: Path) -> None:
    runs = [path.name for path in tmp.glob("perfsuite-gate-*/*")]
    workspace.remove_leftovers()
    # A workspace without an owner file is removed once it is too old to be a gate that just starts.
    for path in tmp.glob("perfsuite-gate-*/*"):
        os.utime(path, (time.time() - 60, time.time() - 60))
    workspace.remove_leftovers()
    assert leftovers(project, tmp) == []
    assert [pid for run in runs for pid in workspace.processes_of_run(run)] == []


@pytest.mark.parametrize("after_seconds", [0.9, 2.1, 4.5])
def test_a_killed_gate_leaves_nothing_after_the_next_start(
    ready: Project, tmp_path: Path, after_seconds: float
) -> None:
    kill_and_look(ready, tmp_path / "tmp", after_seconds, signal.SIGKILL)


def test_what_a_killed_gate_leaves_until_then_is_seen(ready: Project, tmp_path: Path) -> None:
    """The negative control: its folder, both worktrees, and while it runs a process."""
    tmp = tmp_path / "tmp"
    running = start(ready)
    while (left := leftovers(ready, tmp)).count("worktree") < 2 or "process" not in left[-1]:
        assert running.poll() is None, "a gate starts processes in its worktrees"
        time.sleep(0.02)
    running.kill()
    running.wait()
    assert leftovers(ready, tmp)[:3] == left[:3]
    look_after_next_start(ready, tmp)


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(50))
def test_a_gate_killed_at_a_random_moment_leaves_nothing(ready: Project, tmp_path: Path, moment: int) -> None:
    chance = random.Random(moment)
    kill_and_look(ready, tmp_path / "tmp", chance.uniform(0.2, 9.0), signal.SIGKILL)


def test_an_interrupted_gate_cleans_up_by_itself(ready: Project, tmp_path: Path) -> None:
    running = start(ready)
    time.sleep(3.0)
    running.send_signal(signal.SIGINT)
    running.wait(timeout=30)
    assert leftovers(ready, tmp_path / "tmp") == []


def test_a_process_started_during_the_kill_is_killed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleeper) as early, subprocess.Popen(sleeper) as late:
        living = iter([[early.pid], [late.pid], []])
        monkeypatch.setattr(workspace, "processes_of_run", lambda run: next(living))
        workspace.remove_workspace(tmp_path / "place", None)
        assert {early.wait(), late.wait()} == {-signal.SIGKILL}


def test_git_processes_carry_the_mark_of_their_gate(project: Project, tmp_path: Path) -> None:
    """A git process that outlives its gate would register a worktree after the cleanup."""
    tool = tmp_path / "bin" / "git"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\nenv > "$0.environment"\n')
    tool.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
        add_worktree(Repository(tmp_path, tmp_path), "base", "HEAD", tmp_path / "run-7" / "base", "base")
    assert (
        f"{workspace.RUN_VARIABLE}=run-7" in (tmp_path / "bin" / "git.environment").read_text().splitlines()
    )


def test_a_living_gate_is_left_alone(ready: Project, tmp_path: Path) -> None:
    with workspace.gate_workspace(ready.root / ".git") as folder:
        assert folder not in workspace.remove_leftovers()
        assert folder.exists()
    assert not folder.exists()


def test_a_reused_process_id_does_not_protect_a_dead_gate(ready: Project, tmp_path: Path) -> None:
    with workspace.gate_workspace(ready.root / ".git") as folder:
        owner = (folder / "owner.json").read_text()
        (folder / "owner.json").write_text(owner.replace(workspace.process_start_time(os.getpid()), "1"))
        assert folder in workspace.remove_leftovers()


def test_other_worktrees_are_not_touched(ready: Project, tmp_path: Path) -> None:
    ready.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "mine"))
    with workspace.gate_workspace(ready.root / ".git") as folder:
        ready.git("worktree", "add", "--quiet", "--detach", str(folder / "base"))
    assert ready.git("worktree", "list").count("\n") == 2
    assert (tmp_path / "mine" / "pyproject.toml").exists()


@pytest.mark.parametrize(
    ("moment", "removed"),
    [("head: ", ""), ("counting 2", ""), ("counting 2", "head"), ("pair 1: ", ""), ("pair 1: ", "base")],
)
def test_a_folder_that_is_removed_under_the_gate_is_named(ready: Project, moment: str, removed: str) -> None:
    """Whatever else goes wrong in a folder that is gone, the cause is what the user reads."""

    def remove(line: str) -> None:
        if line.startswith(moment):
            (run,) = Path(os.environ["TMPDIR"]).glob("perfsuite-gate-*/*")
            shutil.rmtree(run / removed, ignore_errors=True)

    with pytest.raises(PerfsuiteError, match=r"removed while the gate ran|only the gate changes") as error:
        gate(quick_settings(max_pairs=3), ready.root, on_progress=remove)
    assert error.value.exit_code in (ExitCode.USAGE, ExitCode.INTERNAL)
    assert leftovers(ready, Path(os.environ["TMPDIR"])) == []
