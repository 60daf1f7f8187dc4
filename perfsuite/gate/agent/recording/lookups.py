"""Record uses of the project's files that run and open nothing: is it there, what does a folder list?

Also notes what a recording cannot follow: other processes and other interpreters. A use has a kind: `file`
for a use of a file that differs, `blind` for what cannot be followed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from .project_files import ProjectFiles, module_matches

# Files that look up the project's files to load or collect it; what they find shows in what runs.
LOADERS: tuple[str, ...] = (
    *("<frozen importlib", "<frozen zipimport", "/_pytest/", "/pluggy/", "/zipimport.py"),
    *("/importlib/__init__.py", "/importlib/util.py", "/importlib/_bootstrap"),
)
# Standard modules that act on behalf of their caller.
GO_BETWEENS: tuple[str, ...] = (
    *("/pathlib", "/os.py", "/posixpath.py", "/genericpath.py", "/glob.py", "/fnmatch.py", "/shutil.py"),
    *("/importlib/metadata/", "/importlib/resources/", "/contextlib.py", "/tokenize.py", "/io.py"),
    *("/codecs.py", "/subprocess.py", "<frozen "),
    __file__.rpartition("lookups")[0],
)
# Code that describes the machine and the commit for a report, and does nothing else.
DESCRIBERS = ("/pytest_benchmark/utils.py", "/pytest_benchmark/session.py", "/cpuinfo/")
GIT_ENTRY = ".git"
PROCESS_EVENTS = frozenset(
    {"os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.exec", "os.system", "pty.spawn"}
)
# Programs that read nothing of a project but what they are given; the kernel reports what they open.
HARMLESS_PROGRAMS = frozenset(
    {"ldconfig", "gcc", "g++", "cc", "c++", "clang", "clang++", "ld", "objdump", "uname", "lscpu", "nproc"}
    | {"file", "nvidia-smi", "which"}
)
PRESENCE_FUNCTIONS = frozenset(
    {"exists", "lexists", "isfile", "isdir", "islink", "is_file", "is_dir", "is_symlink", "realpath"}
    | {"resolve", "samefile", "walk"}
)
UseListener = Callable[[str, str], None]  # the kind of a use and a phrase


class LookupMonitor:
    """Reports each such use to `listener`."""

    def __init__(self, files: ProjectFiles, request: Mapping[str, Any], listener: UseListener) -> None:
        self.is_active = True
        self._files, self._listener = files, listener
        self._differing, self._one_sided = frozenset(request["names"]), frozenset(request["one_sided"])
        self._bound_names = frozenset(request["bound_names"])
        self._folders = frozenset(name.rpartition("/")[0] or "." for name in self._one_sided)
        self._handlers: dict[str, Callable[[Any], None]] = {
            "open": self._on_open,
            "os.listdir": self._on_list,
            "os.scandir": self._on_list,
            "subprocess.Popen": self._on_popen,
            "sys.setprofile": self._on_profile,
            "_thread.start_new_thread": self._on_thread,
            "cpython.PyInterpreterState_New": self._on_interpreter,
            "pickle.find_class": self._on_unpickling,
        }
        self.harmless_processes = 0
        self._is_own_profile = False  # while this package sets the profile function itself

    def start(self) -> None:
        sys.addaudithook(self._on_event)
        for name in ("stat", "lstat", "access"):
            _wrap(name, self._on_stat)
        if self._one_sided:
            sys.meta_path.insert(0, self)

    @contextmanager
    def own_profile(self) -> Iterator[None]:
        """In this block, this package sets the profile function itself."""
        self._is_own_profile = True
        try:
            yield
        finally:
            self._is_own_profile = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Find no module, but note that one was looked for that only one side has."""
        if self.is_active and module_matches(name, self._one_sided):
            self._listener("file", f"module {name}, which only one side has, was looked up")

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_active:
            return
        handler = self._handlers.get(event)
        if handler is not None:
            handler(arguments)
        elif event in PROCESS_EVENTS:
            self._listener("blind", f"another process was started ({event})")

    def _on_open(self, arguments: Any) -> None:
        name = self._files.name(arguments[0]) if arguments else ""
        if (
            name in self._differing
            and name.endswith(".py")
            and not _is_loader(_caller(), source=True)
            and not _is_for_messages()
        ):
            self._listener("file", f"the source text of {name} was read")
        elif name == GIT_ENTRY:
            self._listener("file", "the repository's commit was read")
        elif name in self._one_sided and not _is_loader(_caller()):
            self._listener("file", f"{name}, which only one side has, was opened")

    def _on_list(self, arguments: Any) -> None:
        name = self._files.name("." if arguments[0] is None else arguments[0])
        if name in self._folders and not _is_loader(_caller()):
            self._listener("file", f"folder {name} was listed, which differs")

    def _on_stat(self, path: Any) -> None:
        if not self.is_active:
            return
        name = self._files.name(path)
        if name in self._one_sided and not _is_loader(_caller()):
            self._listener("file", f"{name}, which only one side has, was looked up")
        elif self._is_differing_data(name) and not _asks_for_presence() and not _is_loader(_caller()):
            self._listener("file", f"the size of {name}, which differs, was looked up")

    def _is_differing_data(self, name: str) -> bool:
        return name in self._differing and not name.endswith(".py") and name != GIT_ENTRY

    def _on_unpickling(self, arguments: Any) -> None:
        names = {part for text in arguments[:2] for part in str(text).split(".")}
        if found := sorted(names & self._bound_names):
            self._listener("file", f"{found[0]}, which differs, was looked up by pickle")

    def _on_popen(self, arguments: Any) -> None:
        executable = os.fsdecode(arguments[0]) if arguments[0] else ""
        program = executable.rpartition("/")[2].rpartition("linux-gnu-")[2]
        is_described = any(part in _caller() for part in DESCRIBERS)
        is_compiled = any("/torch/_inductor/" in file for file in _callers())
        if program in HARMLESS_PROGRAMS or is_described or is_compiled:
            self.harmless_processes += 1
        else:
            self._listener("blind", f"another process was started ({program})")

    def _on_profile(self, arguments: Any) -> None:
        # A thread that starts sets the profile function that threading.setprofile was given.
        is_new_thread = _caller().endswith("/threading.py")
        if not self._is_own_profile and not is_new_thread and sys.version_info < (3, 12):
            self._listener("blind", "the profile function was replaced")

    def _on_thread(self, arguments: Any) -> None:
        function = arguments[0] if arguments else None
        if sys.version_info < (3, 12) and getattr(function, "__name__", "") != "_bootstrap":
            self._listener("blind", "a thread was started that Python before 3.12 cannot follow")

    def _on_interpreter(self, arguments: Any) -> None:
        self._listener("blind", "another interpreter was started")


def _wrap(name: str, listener: Callable[[Any], None]) -> None:
    """Let a function of `os` report its first argument, a path."""
    original = getattr(os, name)

    def wrapper(path: Any, *args: Any, **kwargs: Any) -> Any:
        listener(path)
        return original(path, *args, **kwargs)

    for capable in (
        os.supports_dir_fd,
        os.supports_follow_symlinks,
        os.supports_effective_ids,
        os.supports_fd,
    ):
        if original in capable:
            capable.add(wrapper)
    setattr(os, name, wrapper)


def _caller() -> str:
    """The file of the code that looked something up, not that of a standard module in between."""
    for file in _callers():
        if file.startswith("<frozen importlib") or not any(part in file for part in GO_BETWEENS):
            return file
    return ""


def _asks_for_presence() -> bool:
    """Whether a file is looked up by a function that only says whether it is there, and of which kind."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and any(part in frame.f_code.co_filename for part in GO_BETWEENS):
        if frame.f_code.co_name in PRESENCE_FUNCTIONS:
            return True
        frame = frame.f_back
    return False


def _callers() -> Iterator[str]:
    """The files of the functions that are running, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back


def _is_for_messages() -> bool:
    """Whether torch reads source lines, which it shows in messages; its compiler compiles the bytecode."""
    readers = ("/linecache.py", "/inspect.py", "/traceback.py", *GO_BETWEENS)
    outer = (file for file in _callers() if not any(part in file for part in readers))
    reader = next(outer, "")
    writers = ("/torch/_dynamo/", "/torch/fx/", "/torch/_logging/", "/torch/cuda/__init__.py")
    return any(part in reader for part in writers)


def _is_loader(file: str, source: bool = False) -> bool:
    """Whether this code loads or collects modules; one module of pytest's reads source text for that."""
    if source:
        return file.startswith("<frozen importlib") or file.endswith("/_pytest/assertion/rewrite.py")
    return any(part in file for part in LOADERS)
