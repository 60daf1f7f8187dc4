"""Every imported package is declared in pyproject.toml, and the core declares no heavy one."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Distributions whose import name differs from their own.
IMPORT_NAMES = {
    "mosaicml-streaming": "streaming",
    "nvidia-dali-cuda130": "nvidia",
    "nvidia-ml-py": "pynvml",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyturbojpeg": "turbojpeg",
    "pyyaml": "yaml",
}
BUNDLED = {
    "_perfsuite_agent": "perfsuite",  # its name in the process of a gated project
    "_pytest": "pytest",
    "functorch": "torch",
}  # import name: the import name of the distribution that has it
OWN = {"benchmarks", "perfsuite", "tests", "planted_package", "replay", "workloads"}
STUBS = {"_typeshed"}  # exist for type checkers only
HEAVY = {"PIL", "albumentations", "cv2", "numba", "scipy", "torch", "torchvision"}


def import_names(requirements: Iterable[object]) -> set[str]:
    names = set()
    for requirement in requirements:
        if isinstance(requirement, str):
            distribution = re.split(r"[\[<>=!~; ]", requirement)[0].lower()
            names.add(IMPORT_NAMES.get(distribution, distribution.replace("-", "_")))
    return names


CORE = import_names(PROJECT["project"]["dependencies"])
EXTRAS = import_names(one for extra in PROJECT["project"]["optional-dependencies"].values() for one in extra)
GROUPS = import_names(one for group in PROJECT["dependency-groups"].values() for one in group)


def undeclared_imports(sources: Mapping[str, str], declared: set[str]) -> list[str]:
    undeclared = []
    for path, source in sources.items():
        siblings = {other.stem for other in (ROOT / path).parent.glob("*.py")}  # of scripts started by path
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            else:
                continue
            for module in modules:
                name = module.partition(".")[0]
                name = BUNDLED.get(name, name)
                if name not in sys.stdlib_module_names and name not in declared | OWN | STUBS | siblings:
                    undeclared.append(f"{path}:{node.lineno}: {name}")
    return undeclared


def sources_in(folder: str) -> dict[str, str]:
    """Python files of a folder, without the projects in it that are benchmarked as projects of their own."""
    paths = (path for path in sorted((ROOT / folder).rglob("*.py")) if "sample_project" not in path.parts)
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


def test_every_import_of_the_package_is_declared() -> None:
    assert undeclared_imports(sources_in("perfsuite"), CORE | EXTRAS) == []


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_every_import_of_tests_and_benchmarks_is_declared(folder: str) -> None:
    assert undeclared_imports(sources_in(folder), CORE | EXTRAS | GROUPS) == []


def test_the_core_declares_nothing_heavy() -> None:
    assert set() == CORE & HEAVY


@pytest.mark.parametrize(
    "source", ["import attrs", "from tomlkit import load", "def f():\n    import click.core"]
)
def test_a_planted_undeclared_import_is_found(source: str) -> None:
    assert undeclared_imports({"planted.py": source}, CORE | EXTRAS) != []


def named_extras(sources: Mapping[str, str]) -> set[str]:
    """Extras that an error or a registry entry tells users to install."""
    pattern = re.compile(r"(?:perfsuite\[|extra=\")(\w+)")
    return {name for source in sources.values() for name in pattern.findall(source)}


def test_every_extra_named_in_a_message_exists() -> None:
    declared = set(PROJECT["project"]["optional-dependencies"])
    assert named_extras(sources_in("perfsuite")) <= declared


def test_a_planted_extra_is_found() -> None:
    assert named_extras({"a.py": "pip install 'perfsuite[fast]'", "b.py": 'extra="old"'}) == {"fast", "old"}
