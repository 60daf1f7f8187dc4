"""Client of agent/fork_server.py, the process that both sides of a pair are forked from."""

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
from perfsuite.gate.agent.variables import FORK_SOCKET_VARIABLE

PAIRS_PER_FORK_SERVER = 6
MAX_REPLY_SECONDS = 300.0  # an import may come from a slow disk
MAX_REPLY_BYTES = 1 << 20


def can_fork() -> bool:
    """Whether the gate can watch a process that a fork server has started."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # a kernel or a sandbox that lacks it
        return False
    return True


class ForkServerError(PerfsuiteError):
    """The fork server died, or cannot be used for this project."""


class ForkServerClient:
    """A process that has imported `modules`, and forks the processes of either side."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        modules: Sequence[str],
        project_packages: Sequence[str] = (),
    ) -> None:
        # A packet holds one whole message.
        self._socket, server_socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(MAX_REPLY_SECONDS)
        with server_socket:
            self.process = subprocess.Popen(
                list(command),
                cwd=cwd,
                env={**environment, FORK_SOCKET_VARIABLE: str(server_socket.fileno())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[server_socket.fileno()],
                start_new_session=True,  # Ctrl-C is the gate's to handle
            )
        try:
            refusal = self._request(
                {"command": "import", "modules": list(modules), "project_packages": list(project_packages)}
            )
            if refusal:
                raise ForkServerError(f"fork server: {refusal}; each side's process starts by itself")
        except BaseException:
            self.close()
            raise

    def fork(
        self,
        command_line: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        files: tuple[int, int],
        socket_variable: str,
    ) -> ForkedProcess:
        """Fork a process that runs `PYTHON -m MODULE ARGUMENTS`; `files`: socket and log."""
        request = {
            "command": "fork",
            "command_line": list(command_line),
            "environment": dict(environment),
            "cwd": str(cwd),
            "socket_variable": socket_variable,
        }
        pid = self._request(request, files)
        if not isinstance(pid, int) or pid <= 0:
            raise ForkServerError(f"fork server: {str(pid)[:80]!r}, expected a process id")
        return ForkedProcess(pid, self)

    def exit_status(self, pid: int) -> int:
        """The exit status of a child that has ended, which the fork server then forgets."""
        try:
            return int(self._request({"command": "status", "pid": pid}))
        except (ForkServerError, TypeError, ValueError):
            return -9  # children do not outlive their fork server

    def _request(self, request: Mapping[str, Any], files: Sequence[int] = ()) -> Any:
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(files))
            data = self._socket.recv(MAX_REPLY_BYTES)
        except OSError as error:
            raise ForkServerError(f"fork server: {error}, expected a reply") from error
        if not data:
            raise ForkServerError(f"fork server: ended with {self.process.poll()}, expected a reply")
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ForkServerError(f"fork server: {data[:80]!r}, expected a JSON value") from error

    def close(self) -> None:
        self._socket.close()
        self.process.kill()
        self.process.wait()


class ForkedProcess:
    """A process forked by the fork server, with the methods of a Popen that a SideProcess needs."""

    def __init__(self, pid: int, fork_server: ForkServerClient) -> None:
        self.pid, self._fork_server = pid, fork_server
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
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            if not poll.poll(None if timeout is None else 1000 * timeout):
                return None
            os.close(self._pidfd)
            self._pidfd = None
            self._status = self._fork_server.exit_status(self.pid)
        return self._status


class ForkServerRotation:
    """The fork server of the next pairs, where both sides may share one.

    A new one starts every few pairs, so that the effects of one address layout do not decide a verdict.
    """

    def __init__(self, start: Callable[[Sequence[str]], ForkServerClient], is_allowed: bool) -> None:
        self.current: ForkServerClient | None = None
        self._start, self._is_allowed = start, is_allowed
        self._modules: tuple[str, ...] = ()  # to import for both sides
        self._imported: frozenset[str] = frozenset()  # by the present one
        self._pairs = 0

    def set_shared_imports(self, base: Sequence[str], head: Sequence[str]) -> None:
        """Note what each side imports; what both import, the next fork server imports once."""
        if self._is_allowed:
            self._modules = tuple(name for name in head if name in base)

    def rotate(self) -> None:
        """Before each pair: replace the fork server after a few pairs, and where it imports too little."""
        is_complete = self._imported.issuperset(self._modules)
        if self.current is not None and self._pairs < PAIRS_PER_FORK_SERVER and is_complete:
            self._pairs += 1
            return
        self.close()
        if not self._modules:
            return
        try:
            self.current = self._start(self._modules)
            self._pairs, self._imported = 1, frozenset(self._modules)
        except ForkServerError:
            self.disable()

    def disable(self) -> None:
        """From now on, start every process by itself."""
        self.close()
        self._is_allowed, self._modules = False, ()

    def close(self) -> None:
        if self.current is not None:
            self.current.close()
            self.current = None
