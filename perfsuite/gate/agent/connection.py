"""The socket between a side's process and the gate."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from typing import Any

Message = dict[str, Any]

PR_SET_PDEATHSIG = 1
EXIT_CODE_WITHOUT_GATE = 75


class GateConnection:
    """A socket that carries one JSON object a line; waiting for the gate blocks and does not spin.

    Messages of the gate have a `command`, messages of a side have an `event`.
    """

    def __init__(self, file_descriptor: int) -> None:
        os.set_inheritable(file_descriptor, False)
        self._socket = socket.socket(fileno=file_descriptor)
        self._reader = self._socket.makefile("rb")

    def send(self, **message: Any) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            _exit_without_gate()

    def receive(self) -> Message:
        line = self._reader.readline()
        if not line:
            _exit_without_gate()
        message: Message = json.loads(line)
        return message


def _exit_without_gate() -> None:
    # The gate is gone: nobody reads further messages, and this process must not outlive it.
    os._exit(EXIT_CODE_WITHOUT_GATE)


def set_parent_death_signal() -> None:
    """Let the kernel kill this process when its parent dies (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
