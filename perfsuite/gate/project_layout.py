"""How a project is laid out: where its packages are, and which files belong to its benchmarks."""

from __future__ import annotations

import glob
import os
import shutil
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.paths import link_on_the_way, resolves_inside, stays_inside

NON_PROJECT_NAMES = frozenset(
    {"tests", "test", "testing", "benchmarks", "benchmark", "bench", "docs", "doc", "examples", "scripts"}
    | {"build", "dist", "tools", "ci", "setup", "conftest", "noxfile", "fabfile", "tasks"}
)


@dataclass(frozen=True, slots=True)
class ProjectSources:
    """The folders to put first on a side's path, relative to its root, and the project's packages in them."""

    folders: tuple[str, ...]
    packages: tuple[str, ...]


def find_sources(root: Path) -> ProjectSources:
    """Where a project keeps its packages: src, the root, or what its pyproject.toml says."""
    folders, packages = [], []
    for folder in dict.fromkeys([*_configured_source_folders(root), "src", "."]):
        place = root / folder
        found = _packages_in(place, root) if place.is_dir() and resolves_inside(place, root) else []
        if found:
            folders.append(folder)
            packages += found
    return ProjectSources(tuple(folders), tuple(dict.fromkeys(packages)))


def _configured_source_folders(root: Path) -> Iterable[str]:
    told = read_toml(root / "pyproject.toml").get("tool", {})
    setuptools = told.get("setuptools", {})
    packages = setuptools.get("packages", {})
    if isinstance(packages, dict):
        yield from packages.get("find", {}).get("where", [])
    if "" in setuptools.get("package-dir", {}):
        yield setuptools["package-dir"][""]
    wheel = told.get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
    yield from (str(Path(name).parent) for name in wheel.get("packages", []))
    yield from (entry["from"] for entry in told.get("poetry", {}).get("packages", []) if "from" in entry)
    if "python-source" in told.get("maturin", {}):
        yield told["maturin"]["python-source"]


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}; mend it") from error


def _packages_in(folder: Path, root: Path) -> list[str]:
    found = []
    for entry in sorted(folder.iterdir()):
        name = entry.name.removesuffix(".py")
        if not name.isidentifier() or name in NON_PROJECT_NAMES or name.startswith(("test_", "bench_")):
            continue
        # A link that leads out of the root is not listed. It is named, so that what comes from it is refused.
        is_package = entry.is_dir() and (
            (entry / "__init__.py").exists()
            or (folder.name == "src" and (not resolves_inside(entry, root) or any(entry.rglob("*.py"))))
        )
        if is_package or (entry.suffix == ".py" and entry.is_file()):
            found.append(name)
    return found


def copy_harness(giver: Path, taker: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Give one side the other's benchmarks (files or folders); return the names of what changed by it.

    Nothing is listed, written or removed through a link of the taker: the link is replaced. A link of the
    giver to a file inside it becomes that file; any other is laid as the link that it is.
    """
    changed = []
    for name in names:
        mine = _entries(giver / name, giver)
        link = _link_at(taker / name, taker)
        if link is not None and not _holds_the_same(giver, taker, name):
            link.unlink()
            changed.append(str(link.relative_to(taker)))
        for gone in sorted(_entries(taker / name, taker) - mine):
            (taker / gone).unlink()
            changed.append(gone)
        for entry in sorted(mine):
            if not _is_same(giver, taker, entry):
                clear_path(taker / entry, taker)
                as_link = _stays_a_link(giver / entry, giver)
                shutil.copy2(giver / entry, taker / entry, follow_symlinks=not as_link)
                changed.append(entry)
    for entry in changed:
        _remove_bytecode(taker / entry, taker)
    return tuple(dict.fromkeys(changed))


def clear_path(target: Path, root: Path) -> None:
    """Let a file be written at `target`. Links on the way are removed and not followed: what they lead to may
    be the user's own."""
    inside = target.relative_to(root)
    if not stays_inside(str(inside)):
        raise UsageError(f"{target}: leads out of {root}, expected a name inside it; nothing was written")
    for place in (*reversed(inside.parents[:-1]), inside):
        if (root / place).is_symlink() or (root / place).is_file():
            (root / place).unlink()
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)


def _remove_bytecode(file: Path, root: Path) -> None:
    """Python knows old bytecode by size and whole second, and both sides were checked out in the same."""
    pattern = file.parent / "__pycache__" / f"{glob.escape(file.stem)}.*.pyc"
    if link_on_the_way(pattern, root) is None:
        for cached in pattern.parent.glob(pattern.name):
            cached.unlink()


def _entries(place: Path, root: Path) -> set[str]:
    """Files and links at or below a place, as names from the root. What leads out of the root is a link, and
    nothing behind it is listed."""
    inside = place.relative_to(root)
    for part in (*reversed(inside.parents[:-1]), inside):
        if (root / part).is_symlink() and not resolves_inside(root / part, root):
            return {str(part)}
    if place.is_file() or (place.is_symlink() and not place.exists()):
        return {str(inside)}
    found = set()
    for folder, folders, files in os.walk(place):
        folders[:] = [name for name in folders if name != "__pycache__"]
        paths = [Path(folder, name) for name in (*files, *folders) if name != "__pycache__"]
        found |= {
            str(path.relative_to(root))
            for path in paths
            if path.is_symlink() or (path.is_file() and path.name in files)
        }
    return found


def _link_at(place: Path, root: Path) -> Path | None:
    """The first link on the way to a place, or the place itself where it is one."""
    return link_on_the_way(place, root) or (place if place.is_symlink() else None)


def _stays_a_link(entry: Path, root: Path) -> bool:
    return entry.is_symlink() and not (resolves_inside(entry, root) and entry.is_file())


def _holds_the_same(giver: Path, taker: Path, name: str) -> bool:
    mine = _entries(giver / name, giver)
    return mine == _entries(taker / name, taker) and all(_is_same(giver, taker, entry) for entry in mine)


def _is_same(giver: Path, taker: Path, entry: str) -> bool:
    """Whether a file or link is on both sides alike. What lies outside the taker is not read."""
    new, old = giver / entry, taker / entry
    if _stays_a_link(new, giver):
        return old.is_symlink() and old.readlink() == new.readlink()
    return resolves_inside(old, taker) and old.is_file() and old.read_bytes() == new.read_bytes()


def find_harness(
    root: Path, benchmark_files: Iterable[str], pytest_config: str, inside: Path = Path()
) -> tuple[str, ...]:
    """What belongs to the benchmarks of the project that lies `inside` a worktree: their folders (or, beside
    the project's own packages, their files), the conftest files above them, and pytest's configuration."""
    found = find_sources(root / inside)
    own = {inside / folder / package for folder in found.folders for package in found.packages}
    names: dict[str, None] = {}
    for file in sorted(set(benchmark_files)):
        folder = Path(file).parent
        if ".." in folder.parts:  # installed, and so the same for both sides
            continue
        holds_project = inside.is_relative_to(folder) or any(
            package.is_relative_to(folder) or folder.is_relative_to(package) for package in own
        )
        names[file if holds_project else str(folder)] = None
        for above in Path(file).parents:
            if (root / above / "conftest.py").is_file():
                names[str(above / "conftest.py")] = None
    if pytest_config and resolves_inside(Path(pytest_config), root):
        names[str(Path(pytest_config).resolve().relative_to(root.resolve()))] = None
    return tuple(names)
