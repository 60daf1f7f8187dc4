"""Where a gate works outside the repository, and how nothing of it stays: after its end, Ctrl-C or a kill."""

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

from perfsuite.errors import UsageError

RUN_VARIABLE = (
    "PERFSUITE_GATE_RUN"  # in the environment of every process of a gate: how leftovers are told from others
)

MAX_KILL_SECONDS = 10.0  # a process that waits for a disk ends when it has answered


@contextmanager
def gate_workspace(git_directory: Path) -> Iterator[Path]:
    """A folder for one gate. What dead gates left is removed first, and this one's at the end."""
    remove_leftovers()
    place = _workspaces_root() / f"{os.getpid()}-{secrets.token_hex(4)}"
    place.mkdir(mode=0o700)
    owner = {"pid": os.getpid(), "started": process_start_time(os.getpid()), "git": str(git_directory)}
    (place / "owner.json").write_text(json.dumps(owner))
    try:
        yield place
    finally:
        remove_workspace(place, git_directory)


def remove_leftovers() -> list[Path]:
    """Remove what gates that are no longer alive left behind: processes, worktrees, files."""
    swept = []
    for place in sorted(_workspaces_root().iterdir()):
        if place.is_symlink():  # no gate makes one, and what it leads to is somebody else's
            place.unlink(missing_ok=True)
            continue
        owner = _read_owner(place)
        if owner is None:
            # Killed between making the folder and signing it, or being signed at this moment.
            with suppress(FileNotFoundError):
                if time.time() - place.stat().st_mtime > 5:
                    remove_workspace(place, None)
                    swept.append(place)
        elif process_start_time(int(owner["pid"])) != owner["started"]:
            remove_workspace(place, Path(owner["git"]))
            swept.append(place)
    return swept


def remove_workspace(place: Path, git_directory: Path | None) -> None:
    """End the gate's processes, then forget its worktrees, then delete its files."""
    _kill_processes(place.name)
    if git_directory is not None:
        for entry in registered_worktrees(git_directory, place):
            shutil.rmtree(entry, ignore_errors=True)
        # git makes this folder with the first worktree and removes it with the last.
        with suppress(OSError):
            (git_directory / "worktrees").rmdir()
    for _ in range(20):
        shutil.rmtree(place, ignore_errors=True)
        if not place.exists():
            return
        time.sleep(0.1)  # a process that was just killed may still have been writing


def _kill_processes(run: str) -> None:
    """Again until none is left: one may have started another while it was being ended."""
    until = time.monotonic() + MAX_KILL_SECONDS
    while (living := processes_of_run(run)) and time.monotonic() < until:
        for pid in living:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def registered_worktrees(git_directory: Path, place: Path) -> list[Path]:
    """git's records of the worktrees that lie in `place`, finished or not."""
    found = []
    for entry in sorted((git_directory / "worktrees").glob("*")):
        with suppress(OSError):
            if Path((entry / "gitdir").read_text().strip()).is_relative_to(place):
                found.append(entry)
    return found


def processes_of_run(run: str) -> list[int]:
    """The living processes of this user that were started by the gate called `run`, except the caller."""
    mark = f"{RUN_VARIABLE}={run}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(entry.name) != os.getpid() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def process_start_time(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty when it is gone. Process numbers are used again."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "alive" if not Path("/proc").exists() and _is_alive(pid) else ""
    state, *rest = told.rpartition(")")[2].split()
    return "" if state == "Z" else rest[18]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _read_owner(place: Path) -> dict[str, str] | None:
    try:
        told: dict[str, str] = json.loads((place / "owner.json").read_text())
    except (OSError, ValueError):
        return None
    return told


def _workspaces_root() -> Path:
    root = Path(tempfile.gettempdir()) / f"perfsuite-gate-{os.getuid()}"
    if not root.is_symlink():
        root.mkdir(mode=0o700, exist_ok=True)
    if root.is_symlink() or root.stat().st_uid != os.getuid():
        raise UsageError(f"{root}: belongs to someone else, expected a folder of this user; set TMPDIR")
    return root
