"""Record which of the project's code objects run, in all threads.

`sys.monitoring` follows every thread. Before Python 3.12 there is only a profile function for each thread, so
a thread that Python does not start is not followed, and the recording says so.
"""

from __future__ import annotations

import sys
import threading
from types import CodeType
from typing import Any

from .project_files import ProjectFiles

TOOL_NAME = "perfsuite-gate"
# Packages that compile bytecode: what they compile runs without running as Python.
COMPILERS = {
    "numba": "/numba/core/",
    "torch.compile": "/torch/_dynamo/symbolic_convert",
    "cloudpickle": "/cloudpickle/",
    "dill": "/dill/",
}


class CodeMonitor:
    """Collects `codes` and `compilers`, which its owner replaces for each test."""

    def __init__(self, files: ProjectFiles) -> None:
        self.codes: dict[int, CodeType] = {}  # by id; the values keep the ids from being used again
        self.compilers: set[str] = set()
        self._files = files
        self._kinds: dict[str, str] = {}  # by file name: project, a compiler, or empty
        self._tool_id = -1

    def start(self) -> None:
        if sys.version_info >= (3, 12):
            monitoring = sys.monitoring
            self._tool_id = next(each for each in range(6)[::-1] if monitoring.get_tool(each) is None)
            monitoring.use_tool_id(self._tool_id, TOOL_NAME)
            monitoring.register_callback(self._tool_id, monitoring.events.PY_START, self._on_start)
            monitoring.set_events(self._tool_id, monitoring.events.PY_START)
        else:
            threading.setprofile(self.profile)
            sys.setprofile(self.profile)

    def stop(self) -> None:
        if sys.version_info >= (3, 12):
            sys.monitoring.set_events(self._tool_id, 0)
            sys.monitoring.free_tool_id(self._tool_id)
        else:
            threading.setprofile(None)
            sys.setprofile(None)

    def is_running(self) -> bool:
        """Whether nobody has replaced this monitor in the calling thread."""
        if sys.version_info >= (3, 12):
            return sys.monitoring.get_tool(self._tool_id) == TOOL_NAME
        return sys.getprofile() == threading.getprofile() == self.profile

    def profile(self, frame: Any, event: str, argument: object) -> None:
        """The profile function of a thread."""
        if event == "call":
            self._note(frame.f_code)

    def _on_start(self, code: CodeType, offset: int) -> Any:
        if not self._note(code):
            return sys.monitoring.DISABLE  # type: ignore[attr-defined,unused-ignore]
        return None

    def _note(self, code: CodeType) -> bool:
        """Note that this code runs; False where it need not be noted again."""
        file = code.co_filename
        kind = self._kinds.get(file)
        if kind is None:
            kind = self._kinds[file] = self._kind(file)
        if not kind:
            return False
        if kind == "project":
            self.codes[id(code)] = code
        else:
            self.compilers.add(kind)
        return True

    def _kind(self, file: str) -> str:
        for compiler, part in COMPILERS.items():
            if part in file:
                return compiler
        return "project" if self._files.name(file) else ""
