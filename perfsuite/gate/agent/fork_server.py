"""Fork server: import what both sides need once, then fork the processes of either side from it.

Processes of one fork server share the addresses of their libraries, the hash seed and one import of torch, so
these effects are the same on both sides.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from .connection import set_parent_death_signal
from .variables import FORK_SOCKET_VARIABLE, ROOT_VARIABLE

MAX_REQUEST_BYTES = 1 << 20
EDITABLE_FINDER = "__editable__"  # how the names of setuptools' finders begin


def main() -> None:
    set_parent_death_signal()
    connection = socket.socket(fileno=int(os.environ.pop(FORK_SOCKET_VARIABLE)))
    connection.set_inheritable(False)
    child = _serve(connection)
    if child is not None:
        connection.close()
        _run_side(*child)


def _serve(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Answer requests until the gate is gone (None); in a forked child, return its request and its files."""
    while True:
        data, files, _, _ = socket.recv_fds(connection, MAX_REQUEST_BYTES, 2)
        if not data:
            return None
        request = json.loads(data)
        if request["command"] == "import":
            reply: str | int = _import_modules(request["modules"], request["project_packages"])
        elif request["command"] == "status":
            reply = os.waitstatus_to_exitcode(os.waitpid(request["pid"], 0)[1])
        else:
            reply = child = os.fork()
            if not child:
                return request, files
            # The child does the same: the gate may end the group before the child has started.
            with suppress(OSError):
                os.setpgid(child, child)
        for file in files:
            os.close(file)
        connection.send(json.dumps(reply).encode())


def _import_modules(modules: list[str], project_packages: list[str]) -> str:
    """Import `modules`; return why this process cannot be a fork server, or an empty text."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            return f"{name}: {error}"
    for package in project_packages:
        if package in sys.modules:  # as it is installed, while each side has a version of its own
            return f"{package}, which is the project's own, was imported"
    gc.collect()
    # Python threads only: BLAS libraries end theirs before a fork and start them again after it.
    threads = threading.active_count()
    return f"{threads} threads, expected one" if threads > 1 else ""


def _run_side(request: dict[str, Any], files: list[int]) -> None:
    """Run the side's command in this process, with its folder, environment and import path."""
    gate_socket, log = files
    _python, _m, module, *arguments = request["command_line"]
    os.setpgid(0, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    server_root = os.environ[ROOT_VARIABLE]
    server_path = set(os.environ.get("PYTHONPATH", "").split(os.pathsep)) | {str(Path.cwd())}
    os.environ.clear()
    os.environ.update(request["environment"])
    os.environ[request["socket_variable"]] = str(gate_socket)
    os.chdir(request["cwd"])
    side_path = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    installed = (entry for entry in sys.path if entry not in server_path)
    sys.path[:] = [request["cwd"], *side_path, *installed]
    _move_environment(server_root, os.environ[ROOT_VARIABLE])
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _move_environment(server_root: str, side_root: str) -> None:
    """Use the side's own environment, where each side has one inside its root, with the same packages."""
    sys.path[:] = [moved_path(entry, server_root, side_root) for entry in sys.path]
    for name in ("prefix", "exec_prefix", "executable"):
        setattr(sys, name, moved_path(getattr(sys, name), server_root, side_root))
    for name, module in list(sys.modules.items()):
        if name.startswith(EDITABLE_FINDER):  # its tables lead to the packages that are installed with `-e`
            folders = getattr(module, "MAPPING", {})
            folders |= {key: moved_path(path, server_root, side_root) for key, path in folders.items()}
            for paths in getattr(module, "NAMESPACES", {}).values():
                paths[:] = [moved_path(path, server_root, side_root) for path in paths]


def moved_path(path: str, root: str, new_root: str) -> str:
    """A path inside a root, or inside the folder that its link leads to, as the same path in the new root.

    >>> moved_path("/head/.venv/lib", "/head", "/base"), moved_path("/header/lib", "/head", "/base")
    ('/base/.venv/lib', '/header/lib')
    """
    for known in (root, os.path.realpath(root)):
        if path == known or path.startswith(known + os.sep):
            return new_root + path[len(known) :]
    return path


if __name__ == "__main__":
    main()
