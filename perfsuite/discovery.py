"""Find the entries of a registry: one module of a folder for each."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def discover(package: ModuleType, attribute: str, kind: type[T]) -> tuple[T, ...]:
    """Import every module of `package` and collect the value named `attribute` where there is one."""
    modules = [import_module(f"{package.__name__}.{info.name}") for info in iter_modules(package.__path__)]
    entries = [getattr(module, attribute) for module in modules if hasattr(module, attribute)]
    if wrong := [entry for entry in entries if not isinstance(entry, kind)]:
        raise TypeError(f"{package.__name__}: {attribute} is {wrong[0]!r}, expected a {kind.__name__}")
    return tuple(entries)
