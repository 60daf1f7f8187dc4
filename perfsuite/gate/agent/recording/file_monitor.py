"""Record which of given files are opened, by whatever code: Python, an extension, or another process.

The kernel reports it (inotify), so this needs Linux.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
import tempfile
from collections.abc import Iterable

IN_OPEN, IN_ACCESS = 0x20, 0x01
IN_Q_OVERFLOW = 0x4000
EVENT = struct.Struct("iIII")
BUFFER_BYTES = 1 << 16


class FileMonitor:
    """Watches files for being opened."""

    def __init__(self) -> None:
        self.problem = ""  # why files cannot be watched
        self._names: dict[int, str] = {}  # by watch
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = -1
        if sys.platform != "linux":
            self.problem = f"files cannot be watched on {sys.platform}"
            return
        self._descriptor = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0 or not self._works():
            self.problem = "the kernel does not report opened files"

    def _works(self) -> bool:
        with tempfile.NamedTemporaryFile() as file:
            self.watch(file.name, "probe")
            os.close(os.open(file.name, os.O_RDONLY))
            return "probe" in self.opened()

    def watch(self, path: str, name: str) -> None:
        if self.problem:
            return
        watch = self._library.inotify_add_watch(self._descriptor, os.fsencode(path), IN_OPEN | IN_ACCESS)
        if watch < 0 and ctypes.get_errno() != errno.ENOENT:  # else the other side has it
            self.problem = f"{name} cannot be watched: {os.strerror(ctypes.get_errno())}"
        self._names[watch] = name

    def opened(self) -> set[str]:
        """Names of files that were opened since the last call."""
        found: set[str] = set()
        while self._descriptor >= 0:
            try:
                data = os.read(self._descriptor, BUFFER_BYTES)
            except BlockingIOError:
                break
            found |= set(self._parse(data))
        return found

    def _parse(self, data: bytes) -> Iterable[str]:
        position = 0
        while position < len(data):
            watch, mask, _, length = EVENT.unpack_from(data, position)
            position += EVENT.size + length
            if mask & IN_Q_OVERFLOW:
                self.problem = "too many files were opened at once"
            elif mask & (IN_OPEN | IN_ACCESS):
                yield self._names.get(watch, "a file")
