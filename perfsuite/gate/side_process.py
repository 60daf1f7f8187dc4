"""One side's pytest process: start it, exchange messages with it, and end it with everything it started."""

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
from perfsuite.gate.agent.variables import GATE_SOCKET_VARIABLE
from perfsuite.gate.descendants import descendants, kill
from perfsuite.gate.fork_client import ForkedProcess, ForkServerClient
from perfsuite.gate.messages import MAX_MESSAGE_BYTES, Message, MessageError, parse_message

SIDES = ("base", "head")
GRACEFUL_EXIT_SECONDS = 2.0
RECEIVED_BYTES = 1 << 16  # at a time
POLL_SECONDS = 0.5  # between looks at whether a silent process still lives
MAX_SEND_SECONDS = 120.0  # until a process that reads nothing counts as hung


def other_side(side: str) -> str:
    """
    >>> other_side("base")
    'head'
    """
    return "base" if side == "head" else "head"


class SideProcessError(PerfsuiteError):
    """One side of a pair died, hung, stopped early or broke the protocol."""

    def __init__(self, side: str, cause: str, message: str, node: str = "") -> None:
        super().__init__(f"{side}: {message}")
        self.side, self.cause = side, cause  # died, hung, stopped, invalid message
        self.node = node  # the test in which it happened, where that is known


class SideProcess:
    """A pytest process that works only when the gate commands it to."""

    def __init__(
        self,
        side: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        log: Path,
        fork_server: ForkServerClient | None = None,
    ) -> None:
        self.side, self.log = side, log
        self._socket, process_socket = socket.socketpair()
        self._socket.settimeout(MAX_SEND_SECONDS)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._buffer = bytearray()
        self._has_finished = False
        with process_socket, log.open("wb") as out:
            try:
                self.process = _start_process(
                    command, environment, cwd, process_socket.fileno(), out.fileno(), fork_server
                )
            except BaseException:
                self._close_socket()
                raise

    def __enter__(self) -> SideProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, **message: Any) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except TimeoutError as error:
            raise SideProcessError(
                self.side,
                "hung",
                f"read nothing for {MAX_SEND_SECONDS:.0f} s, expected it to take the gate's command",
            ) from error
        except OSError as error:
            raise self._exit_error() from error

    def receive(self, timeout_seconds: float) -> Message:
        """The next message; SideProcessError where the process is gone, silent too long, or sends no message.

        A line that never ends is refused when it is too long, or at the time limit.
        """
        deadline, searched = time.monotonic() + timeout_seconds, 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_MESSAGE_BYTES:
                limit = f"at most {MAX_MESSAGE_BYTES >> 20} MiB"
                raise self._invalid_message(f"a line of {searched} bytes and more, expected {limit}")
            if self._is_readable(deadline - time.monotonic()):
                data = self._socket.recv(RECEIVED_BYTES)
                self._buffer += data
                if not data:
                    raise self._exit_error()
            if time.monotonic() > deadline:
                raise SideProcessError(
                    self.side,
                    "hung",
                    f"silent for {timeout_seconds:.0f} s or in mid-line, expected a message; "
                    "the process was ended (--hang-timeout sets how long to wait)",
                )
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            message = parse_message(line)
        except MessageError as error:
            raise self._invalid_message(str(error)) from error
        self._has_finished = message.get("event") == "session_finished"
        return message

    def _is_readable(self, remaining_seconds: float) -> bool:
        """Wait a moment for data; SideProcessError where there is none and the process is gone.

        A worker forked by a dead process keeps the socket open, so an open socket proves nothing.
        """
        if self._selector.select(min(POLL_SECONDS, max(0.0, remaining_seconds))):
            return True
        if self.process.poll() is None:
            return False
        if not self._selector.select(0):  # what it sent last
            raise self._exit_error()
        return True

    def _invalid_message(self, found: str) -> SideProcessError:
        return SideProcessError(
            self.side,
            "invalid message",
            f"an invalid message: {found}; does the project use the gate's socket?",
        )

    def _exit_error(self) -> SideProcessError:
        try:
            status = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return SideProcessError(
                self.side, "died", "closed its socket to the gate, expected it to stay open"
            )
        how = f"signal {_signal_name(-status)}" if status < 0 else f"exit status {status}"
        return SideProcessError(
            self.side,
            "died",
            f"the process ended with {how}, expected a message; the end of its output:\n{self.tail()}",
        )

    def tail(self) -> str:
        """The end of what the process printed."""
        return log_tail(self.log)

    def _close_socket(self) -> None:
        self._selector.close()
        self._socket.close()

    def close(self) -> None:
        """End the process and everything it started; nothing is left to wait for."""
        self._close_socket()
        with suppress(subprocess.TimeoutExpired):
            # What a project removes at exit, such as shared memory, would outlive a killed process.
            self.process.wait(timeout=GRACEFUL_EXIT_SECONDS if self._has_finished else 0.0)
        started = descendants(self.process.pid)  # also in sessions of their own
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        kill(started)


def _signal_name(number: int) -> str:
    """The name of a signal; its number for a real-time signal, which has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def log_tail(log: Path, characters: int = 3000) -> str:
    """The end of a log file, which may hold gigabytes; empty where there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(-min(4 * characters, file.seek(0, os.SEEK_END)), os.SEEK_END)
        return file.read().decode(errors="replace")[-characters:]


def _start_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path,
    process_socket: int,
    log: int,
    fork_server: ForkServerClient | None,
) -> subprocess.Popen[bytes] | ForkedProcess:
    if fork_server is not None:
        return fork_server.fork(command, environment, cwd, (process_socket, log), GATE_SOCKET_VARIABLE)
    return subprocess.Popen(
        list(command),
        cwd=cwd,
        env={**environment, GATE_SOCKET_VARIABLE: str(process_socket)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=[process_socket],
        start_new_session=True,  # Ctrl-C is the gate's to handle
    )
