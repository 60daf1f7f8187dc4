"""The harness: the files of one side's benchmarks, copied to the other side so that both run the same."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from perfsuite.gate.project_layout import find_sources
from perfsuite.gate.worktree import clear_path
from perfsuite.paths import link_on_the_way, resolves_inside, stays_inside


def find_harness(
    root: Path, benchmark_files: Iterable[str], pytest_config: str, project_subfolder: Path = Path()
) -> tuple[str, ...]:
    """What belongs to the benchmarks of the project in this subfolder of a worktree.

    That is their folders (or, beside the project's own packages, their files), the conftest files above them,
    and pytest's configuration.
    """
    sources = find_sources(root / project_subfolder)
    packages = {project_subfolder / folder / name for folder in sources.folders for name in sources.packages}
    names: dict[str, None] = {}
    for file in sorted(set(benchmark_files)):
        folder = Path(file).parent
        if not stays_inside(file):  # installed, and so the same for both sides
            continue
        holds_project = project_subfolder.is_relative_to(folder) or any(
            package.is_relative_to(folder) or folder.is_relative_to(package) for package in packages
        )
        names[file if holds_project else str(folder)] = None
        for above in Path(file).parents:
            if (root / above / "conftest.py").is_file():
                names[str(above / "conftest.py")] = None
    if pytest_config and resolves_inside(Path(pytest_config), root):
        names[str(Path(pytest_config).resolve().relative_to(root.resolve()))] = None
    return tuple(names)


def copy_harness(source: Path, target: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Make these files and folders of one worktree what they are in another; return what changed.

    Nothing is listed, written or removed through a link of the target: the link is replaced. A link of the
    source to a file inside it becomes that file; any other is copied as a link.
    """
    changed = []
    for name in names:
        wanted = _entries(source / name, source)
        link = _link_at(target / name, target)
        if link is not None and not _has_same_entries(source, target, name):
            link.unlink()
            changed.append(str(link.relative_to(target)))
        for entry in sorted(_entries(target / name, target) - wanted):
            (target / entry).unlink()
            changed.append(entry)
        for entry in sorted(wanted):
            if not _is_same_entry(source, target, entry):
                clear_path(target / entry, target)
                as_link = _stays_a_link(source / entry, source)
                shutil.copy2(source / entry, target / entry, follow_symlinks=not as_link)
                changed.append(entry)
    for entry in changed:
        _remove_bytecode(target / entry, target)
    return tuple(dict.fromkeys(changed))


def _remove_bytecode(file: Path, root: Path) -> None:
    """Remove a file's old bytecode.

    Python recognizes it by size and whole second, and both sides were checked out within the same second.
    """
    pattern = file.parent / "__pycache__" / f"{glob.escape(file.stem)}.*.pyc"
    if link_on_the_way(pattern, root) is None:
        for cached in pattern.parent.glob(pattern.name):
            cached.unlink()


def _entries(path: Path, root: Path) -> set[str]:
    """Files and links at or below a path, as names relative to the root.

    What leads out of the root is one link, and nothing behind it is listed.
    """
    relative = path.relative_to(root)
    for part in (*reversed(relative.parents[:-1]), relative):
        if (root / part).is_symlink() and not resolves_inside(root / part, root):
            return {str(part)}
    if path.is_file() or (path.is_symlink() and not path.exists()):
        return {str(relative)}
    entries = set()
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if name != "__pycache__"]
        candidates = [Path(folder, name) for name in (*files, *folders) if name != "__pycache__"]
        entries |= {
            str(candidate.relative_to(root))
            for candidate in candidates
            if candidate.is_symlink() or (candidate.is_file() and candidate.name in files)
        }
    return entries


def _link_at(path: Path, root: Path) -> Path | None:
    """The first link on the way to a path, or the path itself where it is a link."""
    return link_on_the_way(path, root) or (path if path.is_symlink() else None)


def _stays_a_link(entry: Path, root: Path) -> bool:
    return entry.is_symlink() and not (resolves_inside(entry, root) and entry.is_file())


def _has_same_entries(source: Path, target: Path, name: str) -> bool:
    entries = _entries(source / name, source)
    return entries == _entries(target / name, target) and all(
        _is_same_entry(source, target, entry) for entry in entries
    )


def _is_same_entry(source: Path, target: Path, entry: str) -> bool:
    """Whether both sides have the same file or link. What lies outside the target is not read."""
    new, old = source / entry, target / entry
    if _stays_a_link(new, source):
        return old.is_symlink() and old.readlink() == new.readlink()
    return resolves_inside(old, target) and old.is_file() and old.read_bytes() == new.read_bytes()
