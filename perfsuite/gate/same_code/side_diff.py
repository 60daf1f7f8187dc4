"""How the files of the two sides differ, as far as it matters to what a process runs and reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

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
        """Names that only one side's modules bind."""
        return frozenset().union(*(change.names for change in self.sources.values()))

    @property
    def is_harmless(self) -> bool:
        """Whether no code differs and no file is missing on a side; other files may differ."""
        return not self.one_sided and not any(
            change.import_difference or any(change.functions.values()) or change.names
            for change in self.sources.values()
        )


def diff_sides(base: Path, head: Path) -> SideDiff:
    """Compare the worktrees of both sides, as they are now."""
    trees = compare_trees(base, head)
    sources = {
        name: compare_sources((base / name).read_bytes(), (head / name).read_bytes())
        for name in sorted(trees.changed)
        if name.endswith(".py") and not (base / name).is_symlink() and not (head / name).is_symlink()
    }
    one_sided_names = sorted(frozenset().union(*(change.names for change in sources.values())))
    sources = {name: _with_use_at_import(change, one_sided_names) for name, change in sources.items()}
    links = [name for name in sorted(trees.names) if (base / name).is_symlink() or (head / name).is_symlink()]
    problem = f"{links[0]} is a link and differs" if links else ""
    if len(trees.names) > MAX_FILES:
        problem = f"{len(trees.names)} files differ, expected at most {MAX_FILES}"
    return SideDiff(names=trees.names, one_sided=trees.one_sided, sources=sources, problem=problem)


def _with_use_at_import(change: SourceChange, one_sided_names: Sequence[str]) -> SourceChange:
    """Note where what a module runs at import uses a name that only one side binds, in any module."""
    used = next((name for name in one_sided_names if f"'{name}'" in change.import_text), "")
    if change.import_difference or not used:
        return change
    return replace(change, import_difference=f"{used}, which is used at import")
