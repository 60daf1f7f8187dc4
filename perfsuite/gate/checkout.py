"""A temporary checkout of another commit, whose tests run as they would in the user's own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from perfsuite.errors import UsageError
from perfsuite.gate.git import Repository
from perfsuite.gate.launch import inherited_environment, inherited_python_path
from perfsuite.gate.project_layout import find_sources
from perfsuite.gate.project_settings import read_project_settings
from perfsuite.gate.submodules import check_out_submodules
from perfsuite.gate.workspace import RUN_VARIABLE, gate_workspace
from perfsuite.gate.worktree import (
    Worktree,
    add_worktree,
    foreign_package_error,
    link_shared_files,
    refuse_outside_project,
)

_IMPORT_CHECK_SECONDS = 60.0
# Finds packages without importing them; prints one path a line, empty where there is none.
_FIND_PACKAGES = """
import importlib.util, sys
for name in sys.argv[1:]:
    spec = importlib.util.find_spec(name)
    print(spec.origin or "" if spec else "")
"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files of a commit, and the environment in which its own packages are imported."""

    repository: Repository
    tree: Worktree
    environment: Mapping[str, str]

    def path_in_checkout(self, path: str) -> str:
        """The same path in the checkout, for an absolute path (or node id) into the repository."""
        root = f"{self.repository.root}{os.sep}"
        return str(self.tree.path / path.removeprefix(root)) if path.startswith(root) else path

    def folder(self, here: Path) -> Path:
        """The folder of the checkout that stands for `here`, a folder of the repository."""
        return self.tree.path / here.resolve().relative_to(self.repository.root.resolve())


@contextmanager
def temporary_checkout(here: Path, revision: str) -> Iterator[Checkout]:
    """Check out a revision of the repository that `here` lies in; nothing of it remains afterward.

    What the project shares with the sides of a gate (`share` of `[tool.perfsuite.gate]`) is linked into it.
    """
    repository = Repository.at(here)
    commit = repository.commit(revision)
    shared = read_project_settings(repository.project_root, datetime.now(UTC).date())["share"]
    with gate_workspace(repository.git_directory) as workspace:
        tree = add_worktree(repository, "base", commit, workspace / "base", revision)
        problems = check_out_submodules(repository.root, commit, tree.path)
        if problems:
            raise UsageError(f"{revision}: {problems[0]}")
        refuse_outside_project(tree)
        link_shared_files(repository, tree, shared)
        environment = {
            **inherited_environment(),
            "PYTHONPATH": os.pathsep.join(_import_path(repository, tree)),
            RUN_VARIABLE: workspace.name,
        }
        _refuse_foreign_packages(tree, environment)
        yield Checkout(repository, tree, environment)


def _import_path(repository: Repository, tree: Worktree) -> list[str]:
    folders = (
        str((tree.project_root / folder).resolve()) for folder in find_sources(tree.project_root).folders
    )
    return list(dict.fromkeys([*folders, *inherited_python_path(repository, tree)]))


def _refuse_foreign_packages(tree: Worktree, environment: Mapping[str, str]) -> None:
    """Refuse a checkout whose packages would be imported from elsewhere: it would measure other code."""
    packages = find_sources(tree.project_root).packages
    done = subprocess.run(
        [sys.executable, "-c", _FIND_PACKAGES, *packages],
        cwd=tree.project_root,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_IMPORT_CHECK_SECONDS,
        check=False,
    )
    for package, origin in zip(packages, done.stdout.splitlines(), strict=False):
        if origin and not Path(origin).resolve().is_relative_to(tree.path.resolve()):
            raise foreign_package_error(tree.label, package, origin)
