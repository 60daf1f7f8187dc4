"""One side's process: started, told, heard, and ended with everything that it started."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from perfsuite.errors import PerfsuiteError
from perfsuite.gate.agent.plugin import GATE_SOCKET_VARIABLE
from perfsuite.gate.fork_client import ForkedProcess, ForkServerClient

GRACEFUL_EXIT_SECONDS = 2.0
Message = dict[str, Any]


class SideProcessError(PerfsuiteError):
    """One side of a pair died, hung, stopped early or said something that makes no sense."""

    def __init__(self, side: str, how: str, what: str, node: str = "") -> None:
        super().__init__(f"{side}: {what}")
        self.side, self.cause, self.node = side, how, node  # the test in which it happened, where it is known


class SideProcess:
    """A pytest process that works only while it holds the token."""

    def __init__(
        self,
        side: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        log: Path,
        parent: ForkServerClient | None = None,
    ) -> None:
        self.side, self.log = side, log
        self._socket, theirs = socket.socketpair()
        self._buffer = b""
        self._has_finished = False
        with theirs, log.open("wb") as out:
            try:
                self.process = _start_process(
                    command, environment, cwd, theirs.fileno(), out.fileno(), parent
                )
            except BaseException:
                self._socket.close()
                raise

    def __enter__(self) -> SideProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, **words: Any) -> None:
        try:
            self._socket.sendall(json.dumps(words).encode() + b"\n")
        except OSError as error:
            raise self._exit_error() from error

    def receive(self, patience_seconds: float) -> Message:
        """The next line; ArmError where the process is gone or silent for too long."""
        until = time.monotonic() + patience_seconds
        with selectors.DefaultSelector() as ready:
            ready.register(self._socket, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                # A worker forked by a dead arm keeps the socket open, so its end is no proof of life.
                dead = self.process.poll() is not None
                if ready.select(0 if dead else min(0.5, max(0.0, until - time.monotonic()))):
                    said = self._socket.recv(1 << 20)
                    self._buffer += said
                    if said:
                        continue
                    raise self._exit_error()
                if dead:
                    raise self._exit_error()
                if time.monotonic() > until:
                    raise SideProcessError(
                        self.side,
                        "hung",
                        f"silent for {patience_seconds:.0f} s, expected an answer; "
                        "the side was ended (--hang-timeout sets how long to wait)",
                    )
        line, self._buffer = self._buffer.split(b"\n", 1)
        heard: Message = json.loads(line)
        self._has_finished = heard.get("say") == "finished"
        return heard

    def _exit_error(self) -> SideProcessError:
        try:
            status = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return SideProcessError(self.side, "died", "closed its line to the gate, expected it to stay")
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        words = f"the process ended with {how}, expected it to answer; its last words:\n{self.tail()}"
        return SideProcessError(self.side, "died", words)

    def tail(self, characters: int = 3000) -> str:
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:  # it may hold gigabytes
            log.seek(-min(4 * characters, log.seek(0, os.SEEK_END)), os.SEEK_END)
            return log.read().decode(errors="replace")[-characters:]

    def close(self) -> None:
        """End the process and everything it started; nothing is left to wait for."""
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            # What a project removes at exit, shared memory above all, would outlive a process that is killed.
            self.process.wait(timeout=GRACEFUL_EXIT_SECONDS if self._has_finished else 0.0)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _start_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path,
    line: int,
    log: int,
    parent: ForkServerClient | None,
) -> subprocess.Popen[bytes] | ForkedProcess:
    if parent is not None:
        return parent.fork(command, environment, cwd, (line, log), GATE_SOCKET_VARIABLE)
    return subprocess.Popen(
        list(command),
        cwd=cwd,
        env={**environment, GATE_SOCKET_VARIABLE: str(line)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=[line],
        start_new_session=True,  # Ctrl-C is the gate's to handle
    )
