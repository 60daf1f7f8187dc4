"""Whether anything looks through the methods of a class while it is made or used, but by their names."""

from __future__ import annotations

import sys
from abc import ABCMeta
from collections.abc import Iterator, Set
from types import ModuleType
from typing import Any

from .project_files import ProjectFiles, module_file

# Bases of other packages that reach methods of a class by calling them, and nothing else.
PLAIN_BASES = frozenset(
    {
        *("builtins.object", "abc.ABC", "typing.Generic", "builtins.Exception", "builtins.BaseException"),
        *("torch.nn.modules.module.Module", "torch.nn.modules.container.Sequential"),
        *("torch.utils.data.dataset.Dataset", "torch.utils.data.dataset.IterableDataset"),
        *("torch.utils.data.sampler.Sampler", "torch.optim.optimizer.Optimizer"),
    }
)
PLAIN_MODULES = frozenset({"collections.abc"})


def class_problem(
    module: ModuleType, qualified_name: str, files: ProjectFiles, changed_names: Set[str] = frozenset()
) -> str:
    """What may look through the methods of this class; empty where nothing does."""
    found: Any = module
    for part in qualified_name.split("."):
        found = vars(found).get(part) if isinstance(found, type | ModuleType) else None
    if not isinstance(found, type):
        return f"{qualified_name} is not found"
    problems = (_look_through(each, files, changed_names) for each in _with_subclasses(found))
    return next(filter(None, problems), "")


def _with_subclasses(found: type) -> Iterator[type]:
    yield found
    subclasses: list[type] = type.__subclasses__(found)
    for each in subclasses:
        yield from _with_subclasses(each)


def _look_through(found: type, files: ProjectFiles, changed_names: Set[str]) -> str:
    metaclass = type(found)
    if metaclass is not type and metaclass is not ABCMeta:
        return f"the metaclass {_full_name(metaclass)} may look through {_full_name(found)}"
    for base in found.__mro__[1:]:
        abstract = changed_names & set(vars(base).get("__abstractmethods__", ()))
        if abstract:
            return f"{min(abstract)} of {_full_name(found)} is abstract in {_full_name(base)}"
        is_plain = _full_name(base) in PLAIN_BASES or str(base.__module__) in PLAIN_MODULES
        if not is_plain and not _is_own(base, files):
            return f"{_full_name(base)} may look through {_full_name(found)}"
    return ""


def _full_name(found: type) -> str:
    return f"{found.__module__}.{found.__qualname__}"


def _is_own(found: type, files: ProjectFiles) -> bool:
    """Whether this class is made in a file of the project."""
    file = module_file(sys.modules.get(str(found.__module__)))
    return bool(file) and bool(files.own_name(file))
