"""Record which of the project's code objects run, in all threads.

`sys.monitoring` follows every thread. Before Python 3.12 there is only a profile function for each thread, so
a thread that Python does not start is not followed, and the recording says so. In the main thread that is
cProfile, in C, which takes less than half of the time of a function in Python.
"""

from __future__ import annotations

import sys
import threading
from cProfile import Profile
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


class _RestorableProfile(Profile):
    """Code that puts a profile function aside puts it back as a function of Python."""

    def __init__(self, monitor: CodeMonitor) -> None:
        super().__init__(subcalls=False, builtins=False)
        self._monitor = monitor

    def __call__(self, frame: Any, event: str, argument: object) -> None:
        self._monitor.profile(frame, event, argument)


class CodeMonitor:
    """Collects the code that runs, into what its owner passes for each test."""

    def __init__(self, files: ProjectFiles) -> None:
        self._codes: dict[int, CodeType] = {}  # by id; the values keep the ids from being used again
        self._compilers: set[str] = set()
        self._files = files
        self._kinds: dict[str, str] = {}  # by file name: project, a compiler, or empty
        self._tool_id = -1
        self._profile = _RestorableProfile(self)  # of the main thread, before Python 3.12

    def start(self) -> None:
        if sys.version_info >= (3, 12):
            monitoring = sys.monitoring
            self._tool_id = next(each for each in range(6)[::-1] if monitoring.get_tool(each) is None)
            monitoring.use_tool_id(self._tool_id, TOOL_NAME)
            monitoring.register_callback(self._tool_id, monitoring.events.PY_START, self._on_start)
            monitoring.set_events(self._tool_id, monitoring.events.PY_START)
        else:
            threading.setprofile(self.profile)
            self._profile.enable()

    def stop(self) -> None:
        if sys.version_info >= (3, 12):
            sys.monitoring.set_events(self._tool_id, 0)
            sys.monitoring.free_tool_id(self._tool_id)
        else:
            threading.setprofile(None)
            sys.setprofile(None)

    def collect_into(self, codes: dict[int, CodeType], compilers: set[str]) -> None:
        """Finish the present collection, and collect into these from here on."""
        if sys.version_info < (3, 12) and self.is_running():
            self._profile.disable()  # only now are calls reported that have not returned
            for entry in self._profile.getstats():
                if isinstance(entry.code, CodeType):
                    self._note(entry.code)
            self._profile = _RestorableProfile(self)
            self._profile.enable()
        self._codes, self._compilers = codes, compilers

    def is_running(self) -> bool:
        """Whether nobody has replaced this monitor in the calling thread."""
        if sys.version_info >= (3, 12):
            return sys.monitoring.get_tool(self._tool_id) == TOOL_NAME
        return sys.getprofile() is self._profile and threading.getprofile() == self.profile

    def profile(self, frame: Any, event: str, argument: object) -> None:
        """The profile function of other threads."""
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
            self._codes[id(code)] = code
        else:
            self._compilers.add(kind)
        return True

    def _kind(self, file: str) -> str:
        for compiler, part in COMPILERS.items():
            if part in file:
                return compiler
        return "project" if self._files.own_name(file) else ""
