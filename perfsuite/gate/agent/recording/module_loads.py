"""Record in which order modules are loaded: an import of a module that is there already only binds a name."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from .project_files import module_variables

LOADING_FUNCTION = "_find_and_load_unlocked"  # of importlib; others only look whether a module is there


class LoadMonitor:
    """Notes every search for a module that is about to be loaded, while it is on `sys.meta_path`."""

    def __init__(self) -> None:
        self._before = frozenset(sys.modules)
        self._names: list[str] = []  # in order; a module that is loaded again is there again

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Find nothing, and leave it to the other finders."""
        frame = sys._getframe(1).f_back
        if frame is not None and frame.f_code.co_name == LOADING_FUNCTION:
            self._names.append(name)

    def seen(self, last_parts: Iterable[str]) -> list[str]:
        """The names that end with one of these parts, in the order in which they were loaded."""
        return _ending(self._names, last_parts)

    def unseen(self, last_parts: Iterable[str]) -> list[str]:
        """Those that were loaded at an unknown moment: an earlier finder found them, or none did.

        A name that a module makes when it is asked for it counts as one of them.
        """
        wanted = frozenset(last_parts)
        modules = {name: module for name, module in list(sys.modules.items()) if isinstance(name, str)}
        names = _ending(modules.keys() - self._before - set(self._names), wanted)
        made = [
            f"{name}.{part}"
            for name, module in modules.items()
            if "__getattr__" in module_variables(module)
            for part in wanted - module_variables(module).keys()
        ]
        return sorted({*names, *made})


def _ending(names: Iterable[str], last_parts: Iterable[str]) -> list[str]:
    wanted = frozenset(last_parts)
    return [name for name in names if name.rpartition(".")[2] in wanted]
