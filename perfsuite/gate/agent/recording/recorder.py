"""A recording of one process: for each test, what it ran of the project and which differing files it used."""

from __future__ import annotations

import hashlib
import os
import resource
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from json import dumps, loads  # before the project can replace them
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from ..optional import uses_device
from ..variables import TORCH_ADDRESS_VARIABLE
from .classes import class_problem
from .code_monitor import CodeMonitor
from .file_monitor import FileMonitor
from .lookups import GIT_ENTRY, LookupMonitor
from .mentions import IS_FUNCTION, Mention, mentions
from .module_loads import LoadMonitor
from .project_files import ENVIRONMENT_FILES, ProjectFiles, module_file

COMMON = "common"  # the scope of what belongs to no single test
INSTALLED_FOLDERS = (".venv/", "site-packages/")
IMPORT_HOOKS = frozenset({"beartype", "jaxtyping", "typeguard"})  # packages that check annotations
IGNORED_VARIABLES = ("PERFSUITE_GATE_", "PYTEST_", TORCH_ADDRESS_VARIABLE)  # prefixes


@dataclass(slots=True)
class ScopeActivity:
    """What happened during one test, one shared fixture or one collected file."""

    codes: dict[int, CodeType] = field(default_factory=dict)
    compilers: set[str] = field(default_factory=set)
    uses: dict[str, str] = field(default_factory=dict)  # phrases, and their kinds: see lookups.py
    uses_scopes: set[str] = field(default_factory=set)  # scopes that it depends on


class Recorder:
    """Records from `start` to `write`, into the scope that was entered last."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.scopes: dict[str, ScopeActivity] = {COMMON: ScopeActivity()}
        self._scope = self.scopes[COMMON]
        self._files = ProjectFiles(request["root"], request["names"])
        self._sources = frozenset(name for name in request["names"] if name.endswith(".py"))
        self._revealing = frozenset(request["revealing_names"])
        self._bound = frozenset(request["bound_names"])
        self._lookup_names = frozenset(request["lookup_names"])
        self.code = CodeMonitor(self._files)
        self._opened = FileMonitor()
        self._lookups = LookupMonitor(self._files, request, self.note)
        self._loads = LoadMonitor()
        self._usage = _children_usage()
        self._preloaded: list[str] = []

    @classmethod
    def from_file(cls, path: str) -> Recorder:
        return cls(loads(Path(path).read_text()))

    def note(self, kind: str, phrase: str) -> None:
        """Note a use of a differing file, or something that cannot be followed."""
        self._scope.uses.setdefault(phrase, kind)

    def start(self) -> None:
        self._note_loaded()
        self._lookups.start()
        if self.request["loads"]:
            sys.meta_path.insert(0, self._loads)
        with self._lookups.own_profile():
            self.code.start()
        self._select()

    def watch_files(self) -> None:
        """From here on, note when a differing file that is not Python source is opened."""
        # git is started by pytest-benchmark; others that read the commit are seen by LookupMonitor.
        for name in sorted(set(self.request["names"]) - self._sources - {GIT_ENTRY}):
            self._opened.watch(str(Path(self.request["root"], name)), name)
        self._opened.opened()

    def enter(self, name: str) -> None:
        """Record into this scope from here on."""
        self._flush()
        self._scope = self.scopes.setdefault(name, ScopeActivity())
        self._select()

    @contextmanager
    def entered(self, name: str) -> Iterator[None]:
        """Record into a scope while the block runs."""
        before = next(key for key, scope in self.scopes.items() if scope is self._scope)
        self.enter(name)
        try:
            yield
        finally:
            self.enter(before)

    def write(self) -> None:
        """End the recording and write it."""
        self._flush()
        self._select()
        with self._lookups.own_profile():
            self.code.stop()
        self._lookups.is_active = False
        path = Path(self.request["output"])
        temporary = path.with_suffix(".tmp")
        with suppress(Exception):  # whatever the project's modules do when they are looked at: timed, then
            temporary.write_text(dumps(self.describe()))
            temporary.replace(path)

    def describe(self) -> dict[str, Any]:
        ran = {name for scope in self.scopes.values() for name in self._names(scope.codes.values())}
        modules = self._modules()
        return {
            "scopes": {name: self._describe_scope(scope) for name, scope in self.scopes.items()},
            "loaded": sorted(ran | set(self._preloaded)),
            "loads": self._loads.seen(self.request["loads"]),
            "unseen_loads": self._loads.unseen(self.request["loads"]),
            "modules": {file: sorted(named) for file, named in modules.items()},
            "import_hooks": sorted(IMPORT_HOOKS & set(_import_hooks())),
            "class_problems": self._class_problems(modules),
            "facts": {"Python": sys.version, **self._environment()},
        }

    def _describe_scope(self, scope: ScopeActivity) -> dict[str, Any]:
        codes = list(scope.codes.values())
        return {
            "uses": [[kind, phrase] for phrase, kind in scope.uses.items()],
            "uses_scopes": sorted(scope.uses_scopes),
            "compilers": sorted(scope.compilers),
            "ran": sorted(
                {
                    (name, code.co_firstlineno, code.co_name)
                    for code in codes
                    if (name := self._files.name(code.co_filename)) in self._sources
                }
            ),
            "mentions": sorted({each for code in codes for each in self._mentions(code)}),
            "lookups": sorted(
                {
                    (self._files.name(code.co_filename), code.co_firstlineno, code.co_name)
                    for code in codes
                    if self._lookup_names & set(code.co_names)
                }
            ),
            "digest": _digest(
                sorted(
                    {
                        f"{self._files.name(code.co_filename)} {code.co_qualname}"
                        for code in codes
                        if code.co_flags & IS_FUNCTION or code.co_name == "<module>"
                    }
                )
            ),
        }

    def _mentions(self, code: CodeType) -> Iterator[Mention]:
        """The wanted names in a code object. A differing module's own code only defines what it binds."""
        file = self._files.name(code.co_filename)
        is_local = "<locals>" in code.co_qualname  # a class in a function
        only_defines = file in self._sources and not code.co_flags & IS_FUNCTION and not is_local
        return mentions(code, self._revealing if only_defines else self._revealing | self._bound, file)

    def _modules(self) -> dict[str, dict[str, ModuleType]]:
        """The modules made from each differing file, by name."""
        found: dict[str, dict[str, ModuleType]] = {}
        for name, module in list(sys.modules.items()):
            file = self._files.name(module_file(module) or "")
            if file in self._sources:
                found.setdefault(file, {})[name] = module
        return found

    def _class_problems(self, modules: Mapping[str, Mapping[str, ModuleType]]) -> list[tuple[str, str, str]]:
        """The file, the class and what may look through its methods."""
        return [
            (file, name, problem)
            for file, names in self.request["classes"].items()
            for name in names
            for module in modules.get(file, {}).values()
            if (problem := class_problem(module, name, self._files, self._bound))
        ]

    def _names(self, codes: Iterable[CodeType]) -> set[str]:
        return {self._files.name(code.co_filename) for code in codes}

    def _select(self) -> None:
        with self._lookups.own_profile():
            self.code.collect_into(self._scope.codes, self._scope.compilers)

    def _flush(self) -> None:
        """Assign to the current scope what the system reports only when it is read."""
        for name in sorted(self._opened.opened()):
            self.note("file", f"{name}, which differs, was opened")
        if self._opened.problem and set(self.request["names"]) - self._sources - {GIT_ENTRY}:
            self.note("file", self._opened.problem)
        if not self.code.is_running():
            self.note("blind", "the recording was replaced by another profiler")
        usage = _children_usage()
        has_ended = usage != self._usage and not self._lookups.harmless_processes
        if has_ended or _living_children():
            self.note("blind", "another process was running")
        self._usage, self._lookups.harmless_processes = usage, 0
        if sys.version_info < (3, 12) and uses_device():
            self.note("blind", "threads of the device cannot be followed before Python 3.12")

    def _note_loaded(self) -> None:
        """Note the project's files that were in use before the recording began."""
        modules = [module_file(module) for module in list(sys.modules.values())]
        for file in filter(_is_a_file, [*modules, *_mapped_files()]):
            name = self._files.name(file)
            if name in self.request["names"]:
                self.note("file", f"{name}, which differs, was loaded before the recording")
            elif name and not any(part in name for part in INSTALLED_FOLDERS):
                self._preloaded.append(name)
                self.note("blind", f"{name} was loaded before the recording")
        for name in self.request["names"]:
            if name.endswith(ENVIRONMENT_FILES):
                self.note("file", f"{name} differs")

    def _environment(self) -> dict[str, str]:
        """Digests of the variables, which may hold secrets."""
        return {
            f"environment variable {name}": _digest([value.replace(self.request["root"], "")])
            for name, value in sorted(os.environ.items())
            if not name.startswith(IGNORED_VARIABLES)
        }


def _import_hooks() -> Iterator[str]:
    """The packages of what finds and loads modules in this process."""
    for hook in (*sys.meta_path, *sys.path_hooks):
        for place in (hook, type(hook)):
            yield str(getattr(place, "__module__", "")).partition(".")[0]


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def _is_a_file(path: Any) -> bool:
    """Whether a module's `__file__` names a file: `torch.ops` has one that does not exist, `_ops.py`."""
    return bool(path) and (not isinstance(path, str) or path.startswith(os.sep) or Path(path).exists())


def _mapped_files() -> list[str]:
    """Shared libraries in use."""
    with suppress(OSError):
        lines = Path("/proc/self/maps").read_text().splitlines()
        return list(dict.fromkeys(line[line.index("/") :] for line in lines if "/" in line))
    return []


def _children_usage() -> tuple[int, int]:
    """Grows with each child process that has ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_minflt, usage.ru_nvcsw


def _living_children() -> bool:
    with suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            for child in (task / "children").read_text().split():
                command = Path("/proc", child, "cmdline").read_bytes()
                if b"torch/_inductor/compile_worker" not in command:
                    return True
    return False
