"""How the files of the two sides differ, as far as it matters to what a process runs and reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from perfsuite.gate.same_code.source_diff import SourceChange, compare_sources
from perfsuite.gate.same_code.tree_diff import compare_trees

MAX_FILES = 5000  # that differ; more are not watched


@dataclass(frozen=True, slots=True, kw_only=True)
class SideDiff:
    """What differs between two worktrees."""

    names: frozenset[str]  # of files and links, relative to the root
    one_sided: frozenset[str]  # those that only one side has
    sources: Mapping[str, SourceChange]  # Python files of both sides
    problem: str = ""  # why nothing can be proven about these trees

    @property
    def bound_names(self) -> frozenset[str]:
        """Names that modules bind on one side only, or to something else on the other."""
        return frozenset().union(*(change.names for change in self.sources.values()))

    @property
    def watched_loads(self) -> frozenset[str]:
        """The last parts of the names of modules that only one side imports, and of those that do."""
        return frozenset(
            part.rpartition(".")[2]
            for name, change in self.sources.items()
            if change.loads
            for part in (last_part(name), *change.loads)
        )

    @property
    def is_harmless(self) -> bool:
        """Whether no code differs and no file is missing on a side; other files may differ."""
        return not self.one_sided and not any(change.has_other_code for change in self.sources.values())


def last_part(file: str) -> str:
    """The last part of the name of the module that this file makes.

    >>> last_part("src/toy/crop.py"), last_part("src/toy/__init__.py")
    ('crop', 'toy')
    """
    path = PurePosixPath(file)
    return path.parent.name if is_init(file) else path.stem


def is_init(file: str) -> bool:
    return PurePosixPath(file).name == "__init__.py"


def may_be_module(file: str, module: str, names: Iterable[str] = ()) -> bool:
    """Whether an import of this module, as written, may mean this file, which is also known by `names`.

    >>> may_be_module("toy/crop.py", ".crop"), may_be_module("toy/crop.py", "toy.resize")
    (True, False)
    """
    last = module.rpartition(".")[2]
    if not last:
        return is_init(file)
    return last == last_part(file) or any(last == name.rpartition(".")[2] for name in names)


def diff_sides(base: Path, head: Path) -> SideDiff:
    """Compare the worktrees of both sides, as they are now."""
    trees = compare_trees(base, head)
    sources = {
        name: compare_sources((base / name).read_bytes(), (head / name).read_bytes())
        for name in sorted(trees.changed)
        if name.endswith(".py") and not (base / name).is_symlink() and not (head / name).is_symlink()
    }
    links = [name for name in sorted(trees.names) if (base / name).is_symlink() or (head / name).is_symlink()]
    problem = f"{links[0]} is a link and differs" if links else ""
    if len(trees.names) > MAX_FILES:
        problem = f"{len(trees.names)} files differ, expected at most {MAX_FILES}"
    return SideDiff(names=trees.names, one_sided=trees.one_sided, sources=sources, problem=problem)
