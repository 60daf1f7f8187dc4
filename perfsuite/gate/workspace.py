"""The folder outside the repository that a gate works in, and its removal after an end, Ctrl-C or a kill."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from perfsuite.errors import PerfsuiteError, UsageError

# In the environment of every process of a gate, so that a later gate recognizes what a killed one left.
RUN_VARIABLE = "PERFSUITE_GATE_RUN"
MAX_KILL_SECONDS = 10.0  # a process that waits for a disk ends only when the disk has answered
NO_OWNER_GRACE_SECONDS = 5.0  # a folder without an owner file that is older belongs to a killed gate


class WorkspaceError(PerfsuiteError):
    """The gate's folder was removed, or cannot be written, while the gate ran."""


@contextmanager
def gate_workspace(git_directory: Path) -> Iterator[Path]:
    """A folder for one gate. Remove what killed gates left first, and this folder at the end."""
    remove_leftovers()
    workspace = _workspaces_root() / f"{os.getpid()}-{secrets.token_hex(4)}"
    workspace.mkdir(mode=0o700)
    owner = {"pid": os.getpid(), "started": process_start_time(os.getpid()), "git": str(git_directory)}
    (workspace / "owner.json").write_text(json.dumps(owner))
    try:
        yield workspace
    except OSError as error:
        refuse_removed(workspace)
        if str(workspace) not in str(error):
            raise
        raise WorkspaceError(
            f"{workspace}: {error}, expected a folder that only the gate changes; start the gate again"
        ) from error
    finally:
        remove_workspace(workspace, git_directory)


def refuse_removed(*folders: Path) -> None:
    """WorkspaceError where a folder of the gate is no longer there."""
    for folder in folders:
        if not folder.is_dir():
            raise WorkspaceError(
                f"{folder}: was removed while the gate ran, expected it to stay until the end; "
                "start the gate again, with TMPDIR where nothing is cleaned up"
            )


def remove_leftovers() -> list[Path]:
    """Remove the processes, worktrees and files that dead gates left; return their folders."""
    removed = []
    for workspace in sorted(_workspaces_root().iterdir()):
        if workspace.is_symlink():  # no gate makes one, and its target belongs to somebody else
            workspace.unlink(missing_ok=True)
            continue
        owner = _read_owner(workspace)
        if owner is None:
            # Killed before it wrote its owner file, or about to write it.
            with suppress(FileNotFoundError):
                if time.time() - workspace.stat().st_mtime > NO_OWNER_GRACE_SECONDS:
                    remove_workspace(workspace, None)
                    removed.append(workspace)
        elif process_start_time(int(owner["pid"])) != owner["started"]:
            remove_workspace(workspace, Path(owner["git"]))
            removed.append(workspace)
    return removed


def remove_workspace(workspace: Path, git_directory: Path | None) -> None:
    """End the gate's processes, then remove git's records of its worktrees, then its files."""
    _kill_processes(workspace.name)
    if git_directory is not None:
        for entry in registered_worktrees(git_directory, workspace):
            shutil.rmtree(entry, ignore_errors=True)
        # git makes this folder with the first worktree and removes it with the last.
        with suppress(OSError):
            (git_directory / "worktrees").rmdir()
    for _ in range(20):
        shutil.rmtree(workspace, ignore_errors=True)
        if not workspace.exists():
            return
        time.sleep(0.1)  # a process that was just killed may still have been writing


def _kill_processes(run: str) -> None:
    """Kill until none is left: one may have started another while it was being killed."""
    deadline = time.monotonic() + MAX_KILL_SECONDS
    while (living := processes_of_run(run)) and time.monotonic() < deadline:
        for pid in living:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def registered_worktrees(git_directory: Path, workspace: Path) -> list[Path]:
    """git's records of the worktrees in a workspace, complete or not."""
    records = []
    for entry in sorted((git_directory / "worktrees").glob("*")):
        with suppress(OSError):
            if Path((entry / "gitdir").read_text().strip()).is_relative_to(workspace):
                records.append(entry)
    return records


def processes_of_run(run: str) -> list[int]:
    """The living processes of this user that the gate called `run` started, except the caller."""
    mark = f"{RUN_VARIABLE}={run}".encode()
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(entry.name) != os.getpid() and mark in (entry / "environ").read_bytes().split(b"\0"):
                pids.append(int(entry.name))
    return pids


def process_start_time(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty when it is gone. Process ids are reused."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "alive" if not Path("/proc").exists() and _is_alive(pid) else ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _read_owner(workspace: Path) -> dict[str, str] | None:
    try:
        owner: dict[str, str] = json.loads((workspace / "owner.json").read_text())
    except (OSError, ValueError):
        return None
    return owner


def _workspaces_root() -> Path:
    root = Path(tempfile.gettempdir()) / f"perfsuite-gate-{os.getuid()}"
    if not root.is_symlink():
        root.mkdir(mode=0o700, exist_ok=True)
    if root.is_symlink() or root.stat().st_uid != os.getuid():
        raise UsageError(f"{root}: belongs to someone else, expected a folder of this user; set TMPDIR")
    return root
