"""One process that imports what both arms need and then becomes either of them, by fork.

Arms of one parent share the addresses of their libraries, the hash seed and one import of torch. What is luck
in these is the same luck on both sides. Like plugin, it needs nothing but the standard library.
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

from perfsuite.gate.agent.worker import set_parent_death_signal

FORK_SOCKET_VARIABLE = "PERFSUITE_GATE_FORK_SOCKET"  # the number of the inherited socket
MAX_REQUEST_BYTES = 1 << 20  # bytes of one request


def main() -> None:
    set_parent_death_signal()
    line = socket.socket(fileno=int(os.environ.pop(FORK_SOCKET_VARIABLE)))
    line.set_inheritable(False)
    child = _serve(line)
    if child is not None:
        line.close()
        _run_side(*child)


def _serve(line: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Answer the gate until it is gone; in a child, what that is to become."""
    while True:
        said, files, _, _ = socket.recv_fds(line, MAX_REQUEST_BYTES, 2)
        if not said:
            return None
        word = json.loads(said)
        if word["do"] == "import":
            answer: str | int = _import_modules(word["modules"])
        elif word["do"] == "status":
            answer = os.waitstatus_to_exitcode(os.waitpid(word["pid"], 0)[1])
        else:
            answer = child = os.fork()
            if not child:
                return word, files
            # Both do it: the gate may end the group before the child has come to it.
            with suppress(OSError):
                os.setpgid(child, child)
        for file in files:
            os.close(file)
        line.send(json.dumps(answer).encode())


def _import_modules(modules: list[str]) -> str:
    """Why this process can be nobody's parent; empty if it can."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            return f"{name}: {error}"
    gc.collect()
    # Of Python's own: BLAS libraries end theirs before a fork and begin them again after it.
    threads = threading.active_count()
    return f"{threads} threads, expected one" if threads > 1 else ""


def _run_side(word: dict[str, Any], files: list[int]) -> None:
    """Go on as the arm's command, in its folder, with its environment and path."""
    own, log = files
    _python, _m, module, *words = word["command"]
    os.setpgid(0, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    ours = set(os.environ.get("PYTHONPATH", "").split(os.pathsep)) | {str(Path.cwd())}
    os.environ.clear()
    os.environ.update(word["environment"])
    os.environ[word["line"]] = str(own)
    os.chdir(word["cwd"])
    theirs = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:] = [word["cwd"], *theirs, *(place for place in sys.path if place not in ours)]
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
