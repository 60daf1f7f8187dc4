"""How a project is laid out: where its packages are."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.paths import resolves_inside

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


def _configured_source_folders(root: Path) -> Iterable[str]:
    tools = read_toml(root / "pyproject.toml").get("tool", {})
    setuptools = tools.get("setuptools", {})
    packages = setuptools.get("packages", {})
    if isinstance(packages, dict):
        yield from packages.get("find", {}).get("where", [])
    if "" in setuptools.get("package-dir", {}):
        yield setuptools["package-dir"][""]
    wheel = tools.get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
    yield from (str(Path(name).parent) for name in wheel.get("packages", []))
    yield from (entry["from"] for entry in tools.get("poetry", {}).get("packages", []) if "from" in entry)
    if "python-source" in tools.get("maturin", {}):
        yield tools["maturin"]["python-source"]


def read_toml(path: Path) -> dict[str, Any]:
    """The contents of a TOML file; empty where there is none."""
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}, expected valid TOML; correct it") from error


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
