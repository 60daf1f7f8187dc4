"""Whether both sides have the same packages, where each has an environment of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from perfsuite.gate.agent.fork_server import EDITABLE_FINDER
from perfsuite.gate.agent.recording.project_files import ENVIRONMENT_FILES, SCRIPT_FOLDERS
from perfsuite.gate.same_code.tree_diff import IGNORED_FOLDERS, is_same_file, spellings
from perfsuite.gate.worktree import Worktree

RECORDS = ".dist-info"  # what an installer notes of a package


def have_same_packages(base: Worktree, head: Worktree) -> bool:
    """Whether a package that one side has imported is what the other would import."""
    if base.python == head.python:
        return True
    environments = [Path(tree.python).parents[1] for tree in (base, head)]
    if not all(env.is_relative_to(tree.path) for env, tree in zip(environments, (base, head), strict=True)):
        return False
    names = [set(_installed_files(environment)) for environment in environments]
    if names[0] != names[1]:
        return False
    one, other = environments
    roots = spellings(base.path, head.path)
    return all(
        is_same_file(one / name, other / name, roots if _may_name_the_root(name) else []) for name in names[0]
    )


def _may_name_the_root(name: str) -> bool:
    """Whether what this file says of its own root moves with a process, see agent/fork_server.py."""
    return name.endswith(ENVIRONMENT_FILES) or PurePath(name).name.startswith(EDITABLE_FINDER)


def _installed_files(environment: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(environment):
        folders[:] = [
            name
            for name in folders
            if name not in SCRIPT_FOLDERS | IGNORED_FOLDERS and not name.endswith(RECORDS)
        ]
        yield from (os.path.relpath(Path(folder, name), environment) for name in files)
