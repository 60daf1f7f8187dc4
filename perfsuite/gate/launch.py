"""Command lines and environments of the processes that a gate starts."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfsuite.gate.agent import variables
from perfsuite.gate.git import GIT_LOCATION_VARIABLES, Repository
from perfsuite.gate.project_layout import ProjectSources, find_sources
from perfsuite.gate.workspace import RUN_VARIABLE
from perfsuite.gate.worktree import Worktree

AGENT_PACKAGE = "_perfsuite_agent"
# Prefixes of variables that belong to the process that started the gate.
EXCLUDED_VARIABLES = (
    *("PYTEST_CURRENT_", "PYTEST_XDIST_", "COV_CORE_", "COVERAGE_"),
    "PYTHONPYCACHEPREFIX",  # bytecode is deleted with the side's folder
    *GIT_LOCATION_VARIABLES,
)
NO_BYTECODE_VARIABLE = "PYTHONDONTWRITEBYTECODE"
PADDING_VARIABLE = "PERFSUITE_GATE_PADDING"
MAX_PADDING_CHARACTERS = 4096


def install_agent(workspace: Path) -> Path:
    """Copy the agent into a folder of its own, so that a side's import path gains nothing else."""
    package = workspace / "plugin" / AGENT_PACKAGE
    shutil.copytree(Path(__file__).with_name("agent"), package, ignore=shutil.ignore_patterns("__pycache__"))
    return package.parent


def pytest_command(tree: Worktree, pytest_args: Sequence[str]) -> list[str]:
    """`PYTHON -m MODULE ARGUMENTS`, the form that a fork server can run too."""
    # Disabling pytest's cache would make a project's --ff an unknown option; its own would be written to.
    cache = f"cache_dir={tree.path.parent / 'cache' / tree.side}"
    return [tree.python, "-m", "pytest", "-p", f"{AGENT_PACKAGE}.plugin", "-o", cache, *pytest_args]


def fork_server_command(tree: Worktree) -> list[str]:
    return [tree.python, "-m", f"{AGENT_PACKAGE}.fork_server"]


def randomized_environment(rng: random.Random) -> dict[str, str]:
    """A hash seed and a padding of random size, which moves the heap.

    Drawn once for each pair, the same for both sides: the effect of one layout can then neither pass for a
    difference between the sides nor hide one in every pair.
    """
    padding = "x" * rng.randrange(MAX_PADDING_CHARACTERS)
    return {"PYTHONHASHSEED": str(rng.randrange(1, 2**32)), PADDING_VARIABLE: padding}


@dataclass(frozen=True, slots=True)
class Launcher:
    """What every process of one gate starts with."""

    repository: Repository
    agent_path: Path
    workspace: Path
    changed_packages: frozenset[str] = frozenset()  # those that hold what differs between the sides

    def project_packages(self, sources: ProjectSources) -> list[str]:
        """The packages that have to come from the side itself."""
        return sorted({*sources.packages, *self.changed_packages})

    def bytecode_environment(self, python: str) -> dict[str, str]:
        """Where bytecode goes if the user does not want it beside its source.

        Without any, each of a gate's many processes compiles pytest and all that the project imports: two
        thirds of its start.
        """
        if not os.environ.get(NO_BYTECODE_VARIABLE) or has_bytecode(python):
            return {}
        return {NO_BYTECODE_VARIABLE: "", "PYTHONPYCACHEPREFIX": str(self.workspace / "bytecode")}

    def fork_server_environment(self, tree: Worktree, randomized: Mapping[str, str]) -> dict[str, str]:
        """The environment of a fork server that runs the interpreter of this side."""
        return {
            **inherited_environment(),
            **self.bytecode_environment(tree.python),
            "PYTHONPATH": str(self.agent_path),
            **randomized,
            RUN_VARIABLE: self.workspace.name,
            variables.ROOT_VARIABLE: str(tree.path),
        }

    def side_environment(
        self, tree: Worktree, side: str, scratch: Path, randomized: Mapping[str, str]
    ) -> dict[str, str]:
        """The environment of a side's process; `scratch` is for the temporary files of its tests."""
        sources = find_sources(tree.project_root)
        path = [str(self.agent_path)]
        if not tree.is_prepared:  # else its packages are installed in its own environment
            path += [str((tree.project_root / folder).resolve()) for folder in sources.folders]
            path += inherited_python_path(self.repository, tree)
        return {
            **inherited_environment(),
            **self.bytecode_environment(tree.python),
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
            **randomized,
            RUN_VARIABLE: self.workspace.name,
            variables.SIDE_VARIABLE: side,
            variables.SCRATCH_VARIABLE: str(scratch),
            variables.ROOT_VARIABLE: str(tree.path),
            variables.REPOSITORY_VARIABLE: str(self.repository.root.resolve()),
            variables.PACKAGES_VARIABLE: ",".join(self.project_packages(sources)),
            variables.PERFSUITE_PATH_VARIABLE: str(Path(__file__).resolve().parents[2]),
        }


def has_bytecode(python: str) -> bool:
    """Whether the packages of a virtual environment are compiled, as pip leaves them and uv does not.

    An interpreter outside of one counts as compiled.
    """
    packages = Path(python).parent.parent.glob("lib/python*/site-packages/_pytest")
    return all((package / "__pycache__").is_dir() for package in packages)


def inherited_python_path(repository: Repository, tree: Worktree) -> list[str]:
    """The user's PYTHONPATH, where paths into the repository become the same paths into the side."""
    entries = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return [_path_in_side(repository, entry, tree) for entry in entries]


def _path_in_side(repository: Repository, entry: str, tree: Worktree) -> str:
    resolved = Path(entry).resolve()
    if resolved.is_relative_to(repository.root):
        return str(tree.path / resolved.relative_to(repository.root))
    return entry


def inherited_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(EXCLUDED_VARIABLES)}
