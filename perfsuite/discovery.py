"""Find the entries of a registry: one module of a folder for each."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def discover(package: ModuleType, attribute: str, kind: type[T]) -> dict[str, T]:
    """Import every module of `package` and collect the value named `attribute` where there is one.

    The keys are the names of the files, sorted, without the underscore at the end that tells a file from the
    library that it is named after.
    """
    entries: dict[str, T] = {}
    for name in sorted(info.name for info in iter_modules(package.__path__)):
        module = import_module(f"{package.__name__}.{name}")
        if not hasattr(module, attribute):
            continue
        entry = getattr(module, attribute)
        if not isinstance(entry, kind):
            raise TypeError(f"{module.__name__}: {attribute} is {entry!r}, expected a {kind.__name__}")
        entries[name.rstrip("_")] = entry
    return entries


def entry_names(folder: str) -> list[str]:
    """The names of a folder's entries, by its files: neither it nor a package above it is imported.

    >>> "opencv" in entry_names("data/decoding/decoders")
    True
    """
    path = Path(__file__).parent / folder
    return sorted(info.name.rstrip("_") for info in iter_modules([str(path)]))
