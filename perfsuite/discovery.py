"""Find the entries of a registry: one module of a folder for each."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def discover(package: ModuleType, attribute: str, kind: type[T]) -> tuple[T, ...]:
    """Import every module of `package` and collect the value named `attribute` where there is one."""
    return tuple(discover_by_name(package, attribute, kind).values())


def discover_by_name(package: ModuleType, attribute: str, kind: type[T]) -> dict[str, T]:
    """The same by the names of the modules, as options spell them: `csv_` is csv, `a_b` is a-b."""
    modules = {
        info.name.strip("_").replace("_", "-"): import_module(f"{package.__name__}.{info.name}")
        for info in iter_modules(package.__path__)
    }
    entries = {
        name: getattr(module, attribute) for name, module in modules.items() if hasattr(module, attribute)
    }
    if wrong := [entry for entry in entries.values() if not isinstance(entry, kind)]:
        raise TypeError(f"{package.__name__}: {attribute} is {wrong[0]!r}, expected a {kind.__name__}")
    return entries
