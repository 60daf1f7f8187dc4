"""The gate's end of agent/fork_server.py: a process that both arms of a pair are forked from."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from perfsuite.errors import PerfsuiteError
from perfsuite.gate.agent import fork_server

PAIRS_PER_FORK_SERVER = 6
MAX_REPLY_SECONDS = 300.0  # an import may come from a slow disk


def can_fork() -> bool:
    """Whether a child of the parent can be watched from here."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # a kernel or a sandbox that lacks it
        return False
    return True


class ForkServerError(PerfsuiteError):
    """The parent died or cannot be one."""


class ForkServerClient:
    """A process with `modules` imported, to fork arms from."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], cwd: Path, modules: Sequence[str]
    ) -> None:
        # One message a packet: nothing has to be put together again.
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(MAX_REPLY_SECONDS)
        with theirs:
            self.process = subprocess.Popen(
                list(command),
                cwd=cwd,
                env={**environment, fork_server.FORK_SOCKET_VARIABLE: str(theirs.fileno())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is the gate's to handle
            )
        try:
            refusal = self._request({"do": "import", "modules": list(modules)})
            if refusal:
                raise ForkServerError(f"arms start on their own: {refusal}")
        except BaseException:
            self.close()
            raise

    def fork(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        files: Sequence[int],
        line: str,
    ) -> ForkedProcess:
        """A child that goes on as `PYTHON -m MODULE WORDS`; `files` are its line to the gate and its log."""
        told = {"command": list(command), "environment": dict(environment), "cwd": str(cwd), "line": line}
        return ForkedProcess(int(self._request({"do": "fork", **told}, files)), self)

    def exit_status(self, pid: int) -> int:
        """How a child that has ended did so; forgets it."""
        try:
            return int(self._request({"do": "status", "pid": pid}))
        except ForkServerError:
            return -9  # children do not outlive their parent

    def _request(self, word: Mapping[str, Any], files: Sequence[int] = ()) -> Any:
        try:
            socket.send_fds(self._socket, [json.dumps(word).encode()], list(files))
            said = self._socket.recv(fork_server.MAX_REQUEST_BYTES)
        except OSError as error:
            raise ForkServerError(f"the parent of the arms is gone: {error}") from error
        if not said:
            raise ForkServerError(f"the parent of the arms ended with {self.process.poll()}")
        return json.loads(said)

    def close(self) -> None:
        self._socket.close()
        self.process.kill()
        self.process.wait()


class ForkedProcess:
    """An arm's process whose parent is not the gate, in the words of a Popen."""

    def __init__(self, pid: int, parent: ForkServerClient) -> None:
        self.pid, self._fork_server = pid, parent
        self._pidfd: int | None = os.pidfd_open(pid)
        self._status = 0

    def poll(self) -> int | None:
        return self._wait(0.0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._wait(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("pytest", timeout or 0.0)
        return status

    def _wait(self, timeout: float | None) -> int | None:
        if self._pidfd is not None:
            ended = select.poll()
            ended.register(self._pidfd, select.POLLIN)
            if not ended.poll(None if timeout is None else 1000 * timeout):
                return None
            os.close(self._pidfd)
            self._pidfd = None
            self._status = self._fork_server.exit_status(self.pid)
        return self._status


class ForkServerRotation:
    """The parent of the next arms, where both sides may have one: another after a few pairs, so that the
    luck of one layout does not judge the change."""

    def __init__(self, start: Callable[[Sequence[str]], ForkServerClient], is_allowed: bool) -> None:
        self.current: ForkServerClient | None = None
        self._start, self._is_allowed = start, is_allowed
        self._modules: tuple[str, ...] = ()  # what a parent imports for both sides
        self._pairs = 0

    def set_shared_imports(self, base: Sequence[str], head: Sequence[str]) -> None:
        """What both sides import can be imported once, before they part."""
        if self._is_allowed:
            self._modules = tuple(name for name in head if name in base)

    def rotate(self) -> None:
        """Before each pair."""
        if self.current is not None and self._pairs < PAIRS_PER_FORK_SERVER:
            self._pairs += 1
            return
        self.close()
        if not self._modules:
            return
        try:
            self.current = self._start(self._modules)
            self._pairs = 1
        except ForkServerError:
            self.disable()

    def disable(self) -> None:
        """From now on every arm is a process of its own."""
        self.close()
        self._is_allowed, self._modules = False, ()

    def close(self) -> None:
        if self.current is not None:
            self.current.close()
            self.current = None
