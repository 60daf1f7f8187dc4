"""How a project is laid out: where its packages are, and which files belong to its benchmarks."""

from __future__ import annotations

import glob
import shutil
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError

NOT_THE_PROJECT = frozenset(
    {"tests", "test", "testing", "benchmarks", "benchmark", "bench", "docs", "doc", "examples", "scripts"}
    | {"build", "dist", "tools", "ci", "setup", "conftest", "noxfile", "fabfile", "tasks"}
)


@dataclass(frozen=True, slots=True)
class Sources:
    """The folders to put first on a side's path, relative to its root, and the project's packages in them."""

    folders: tuple[str, ...]
    packages: tuple[str, ...]


def sources(root: Path) -> Sources:
    """Where a project keeps its packages: src, the root, or what its pyproject.toml says."""
    folders, packages = [], []
    for folder in dict.fromkeys([*_told_folders(root), "src", "."]):
        place = root / folder
        found = (
            _packages_in(place) if place.is_dir() and place.resolve().is_relative_to(root.resolve()) else []
        )
        if found:
            folders.append(folder)
            packages += found
    return Sources(tuple(folders), tuple(dict.fromkeys(packages)))


def _told_folders(root: Path) -> Iterable[str]:
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


def _packages_in(folder: Path) -> list[str]:
    found = []
    for entry in sorted(folder.iterdir()):
        name = entry.name.removesuffix(".py")
        if not name.isidentifier() or name in NOT_THE_PROJECT or name.startswith(("test_", "bench_")):
            continue
        inside = entry.is_dir() and (
            (entry / "__init__.py").exists() or (folder.name == "src" and any(entry.rglob("*.py")))
        )
        if inside or (entry.suffix == ".py" and entry.is_file()):
            found.append(name)
    return found


def lay_harness(giver: Path, taker: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Give one side the other's benchmarks (files or folders); the names of the files that changed by it."""
    changed = []
    for name in names:
        mine = _files_in(giver / name, giver)
        for gone in sorted(_files_in(taker / name, taker) - mine):
            (taker / gone).unlink()
            changed.append(gone)
        for file in sorted(mine):
            old, new = taker / file, giver / file
            if not old.is_file() or old.read_bytes() != new.read_bytes():
                make_way(old, taker)
                shutil.copy2(new, old)
                changed.append(file)
    for file in changed:
        _forget_bytecode(taker / file)
    return tuple(changed)


def make_way(target: Path, root: Path) -> None:
    """Let a file be written at `target`. Links on the way are removed and not followed: what they lead to may
    be the user's own."""
    inside = target.relative_to(root)
    for place in (*reversed(inside.parents[:-1]), inside):
        if (root / place).is_symlink() or (root / place).is_file():
            (root / place).unlink()
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)


def _forget_bytecode(file: Path) -> None:
    """Python knows old bytecode by size and whole second, and both sides were checked out in the same."""
    for cached in (file.parent / "__pycache__").glob(f"{glob.escape(file.stem)}.*.pyc"):
        cached.unlink()


def _files_in(place: Path, root: Path) -> set[str]:
    files = [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
    return {str(file.relative_to(root)) for file in files if "__pycache__" not in file.parts}


def harness_of(
    root: Path, benchmark_files: Iterable[str], pytest_config: str, inside: Path = Path()
) -> tuple[str, ...]:
    """What belongs to the benchmarks of the project that lies `inside` a worktree: their folders (or, beside
    the project's own packages, their files), the conftest files above them, and pytest's configuration."""
    found = sources(root / inside)
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
    config = Path(pytest_config).resolve()
    if pytest_config and config.is_relative_to(root.resolve()):
        names[str(config.relative_to(root.resolve()))] = None
    return tuple(names)
