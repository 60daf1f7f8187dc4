"""Names of the project's files, from the paths under which a process uses them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any

MODULE_SUFFIXES = (".py", ".pyc", ".so", ".pyd")
ENVIRONMENT_SETTINGS = "pyvenv.cfg"
SCRIPT_FOLDERS = frozenset({"bin", "Scripts"})  # of an environment
ENVIRONMENT_FILES = (".pth", ENVIRONMENT_SETTINGS)  # these say where modules are, and may load them


class ProjectFiles:
    """The files below one root, by their names relative to it, with every link followed."""

    def __init__(self, root: str, differing: Iterable[str] = ()) -> None:
        self.root = os.path.realpath(root)
        self._names: dict[str, str] = {}
        self._resolving = threading.local()
        self._differing = frozenset(differing)
        self._installed = self._find_installed()

    def own_name(self, path: Any) -> str:
        """The name of a file, but not of one in packages that both sides have installed in equal versions."""
        name = self.name(path)
        is_installed = bool(self._installed) and name.startswith(self._installed)
        return "" if is_installed and name not in self._differing else name

    def _find_installed(self) -> str:
        """The folder of this interpreter's environment, if it is inside the root and no package differs."""
        environment = self.name(sys.prefix)
        if environment in ("", "."):
            return ""
        # Its scripts name the folder, and differ.
        scripts = tuple(f"{environment}/{name}/" for name in SCRIPT_FOLDERS)
        differs = any(
            name.startswith(f"{environment}/")
            and name.endswith((*MODULE_SUFFIXES, *ENVIRONMENT_FILES))
            and not name.startswith(scripts)
            for name in self._differing
        )
        return "" if differs else f"{environment}/"

    def name(self, path: Any) -> str:
        """The name of a path below the root, `.` for the root itself; empty for anything else."""
        if getattr(self._resolving, "is_active", False):  # resolving looks up paths itself
            return ""
        try:
            text = os.fsdecode(path)
        except TypeError:  # a file descriptor
            return ""
        known = self._names.get(text)
        if known is None:
            known = self._find_name(text)
            if text.startswith("/"):  # others depend on the current folder
                self._names[text] = known
        return known

    def _find_name(self, text: str) -> str:
        if text.startswith("<"):  # of generated code
            return ""
        self._resolving.is_active = True
        try:
            path = os.path.realpath(text)
        except (OSError, ValueError):
            return ""
        finally:
            self._resolving.is_active = False
        if path == self.root:
            return "."
        return path[len(self.root) + 1 :] if path.startswith(self.root + os.sep) else ""


def module_variables(module: object) -> Mapping[str, Any]:
    """What a module defines, without running code of one that is loaded late or is no module."""
    try:
        variables = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}
    return variables if isinstance(variables, dict) else {}


def module_file(module: object) -> Any:
    return module_variables(module).get("__file__")


def module_matches(module: str, files: Iterable[str]) -> bool:
    """Whether a module of this dotted name may be one of these files or folders.

    >>> module_matches("toy.fast", ["src/toy/fast.py"]), module_matches("json.fast", ["src/toy/fast.py"])
    (True, False)
    """
    parts = module.split(".")
    for file in files:
        *folders, name = file.split("/")
        stem, dot, _ = name.partition(".")
        if dot and not name.endswith(MODULE_SUFFIXES):
            continue
        path = folders if stem == "__init__" else [*folders, stem]
        if path[-len(parts) :] == parts:
            return True
    return False
