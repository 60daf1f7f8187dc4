"""How a project is laid out: where its packages are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.paths import resolves_inside
from perfsuite.toml_file import parse_toml

NON_PROJECT_NAMES = frozenset(
    {"tests", "test", "testing", "benchmarks", "benchmark", "bench", "docs", "doc", "examples", "scripts"}
    | {"build", "dist", "tools", "ci", "setup", "conftest", "noxfile", "fabfile", "tasks"}
)


@dataclass(frozen=True, slots=True)
class ProjectSources:
    """The folders to put first on a side's import path, relative to its root, and the packages in them."""

    folders: tuple[str, ...]
    packages: tuple[str, ...]


def find_sources(root: Path) -> ProjectSources:
    """Where a project keeps its packages: what its pyproject.toml configures, `src`, or the root."""
    folders: list[str] = []
    packages: list[str] = []
    for name in dict.fromkeys([*_configured_source_folders(root), "src", "."]):
        folder = root / name
        if folder.is_dir() and resolves_inside(folder, root) and (contents := _packages_in(folder, root)):
            folders.append(name)
            packages += contents
    return ProjectSources(tuple(folders), tuple(dict.fromkeys(packages)))


def packages_of_files(names: Iterable[str], root: Path) -> set[str]:
    """The outermost packages that hold these files, wherever in the project they lie.

    A project may keep its package where `find_sources` does not look, such as `lib` or `python`.
    """
    found = {_outermost_package(root / name, root) for name in names if name.endswith(".py")}
    return {name for name in found if _is_project_name(name)}


def _outermost_package(file: Path, root: Path) -> str:
    """The name of the outermost package that a file lies in; empty where it lies in none."""
    name = ""
    for folder in file.parents:
        if folder == root or not (folder / "__init__.py").is_file():
            break
        name = folder.name
    return name


def _configured_source_folders(root: Path) -> Iterable[str]:
    """The folders that the project's build tool names; what has another shape is that tool's to refuse."""
    path = root / "pyproject.toml"
    tools = _members(parse_toml(read_file(path), str(path)), "tool")
    setuptools = _members(tools, "setuptools")
    wheel = _members(tools, "hatch", "build", "targets", "wheel")
    poetry = _members(tools, "poetry")
    folders = [
        *_list(_members(setuptools, "packages", "find").get("where")),
        _members(setuptools, "package-dir").get(""),
        *(str(Path(name).parent) for name in _list(wheel.get("packages")) if isinstance(name, str)),
        *(entry.get("from") for entry in _list(poetry.get("packages")) if isinstance(entry, dict)),
        _members(tools, "maturin").get("python-source"),
    ]
    return [name for name in folders if isinstance(name, str) and "\0" not in name]


def _members(value: Any, *keys: str) -> Mapping[str, Any]:
    """A table within tables; empty where one of them is absent or no table."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def read_file(path: Path) -> bytes:
    """The bytes of a file, none where it is absent; UsageError where it cannot be read."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: not a regular file, expected a file; remove or rename it")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}, expected a readable file; correct its rights") from error


def _packages_in(folder: Path, root: Path) -> list[str]:
    return [
        entry.name.removesuffix(".py")
        for entry in sorted(folder.iterdir())
        if _is_project_name(entry.name.removesuffix(".py")) and _is_importable(entry, root)
    ]


def _is_project_name(name: str) -> bool:
    return name.isidentifier() and name not in NON_PROJECT_NAMES and not name.startswith(("test_", "bench_"))


def _is_importable(entry: Path, root: Path) -> bool:
    """Whether an entry is a module or a package, or under `src` a namespace package."""
    if entry.suffix == ".py" and entry.is_file():
        return True
    if not entry.is_dir():
        return False
    if (entry / "__init__.py").exists():
        return True
    # A link out of the root is not listed, but counts as a package, so that imports from it are refused.
    leads_out = not resolves_inside(entry, root)
    return entry.parent.name == "src" and (leads_out or any(entry.rglob("*.py")))
