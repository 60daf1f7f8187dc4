"""The two sides as files: one worktree each, prepared before anything is timed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from perfsuite.errors import UsageError
from perfsuite.gate.git import GIT_LOCATION_VARIABLES, Repository, git_output
from perfsuite.gate.project_layout import ProjectSources, packages_of_files
from perfsuite.gate.side_process import log_tail
from perfsuite.gate.workspace import RUN_VARIABLE
from perfsuite.paths import link_on_the_way, resolves_inside, stays_inside

EXTENSION_SUFFIXES = (".so", ".pyd", ".dylib")


@dataclass(frozen=True, slots=True)
class Worktree:
    """The files of one side, and the interpreter that runs them."""

    side: str
    path: Path  # the root of the checkout
    project_root: Path  # the project's folder in it
    commit: str
    label: str
    uncommitted_files: tuple[str, ...] = ()
    python: str = sys.executable
    is_prepared: bool = False


def add_worktree(
    repository: Repository, side: str, commit: str, path: Path, label: str, python: str = sys.executable
) -> Worktree:
    """Check out a commit at `path`, without running the repository's hooks."""
    arguments = ["-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--detach", "--quiet"]
    # The variable marks the process: if it outlives a killed gate, the next gate ends it before cleaning up.
    mark = {RUN_VARIABLE: path.parent.name}
    git_output(repository.root, *arguments, str(path), commit, who=label, **mark)
    return Worktree(
        side=side,
        path=path,
        project_root=path / repository.project_subfolder,
        commit=commit,
        label=label,
        python=python,
    )


def copy_uncommitted(repository: Repository, tree: Worktree) -> Worktree:
    """Copy the working tree's uncommitted changes over a checkout of its HEAD."""
    changed = repository.uncommitted_files()
    copy_files(repository.root, tree.path, changed)
    if not changed:
        return tree
    label = f"{tree.label} with {len(changed)} uncommitted file{'s' * (len(changed) > 1)}"
    return replace(tree, label=label, uncommitted_files=changed)


def copy_files(source_root: Path, target_root: Path, names: Sequence[str]) -> None:
    """Make these files of the target what they are in the source, and remove those that the source lacks.

    What lies behind a link is not a file of the tree: git counts it as removed where a folder became a link.
    """
    for name in names:
        source, target = source_root / name, target_root / name
        is_behind_a_link = link_on_the_way(source, source_root) is not None
        if source.is_dir() and not source.is_symlink() and not is_behind_a_link:
            continue  # a submodule or a repository inside this one
        if not is_behind_a_link and (source.is_symlink() or source.exists()):
            clear_path(target, target_root)
            shutil.copy2(source, target, follow_symlinks=False)
        elif link_on_the_way(target, target_root) is None:
            # Its folder has become a file, or it was a submodule.
            with suppress(NotADirectoryError, IsADirectoryError):
                target.unlink(missing_ok=True)


def clear_path(target: Path, root: Path) -> None:
    """Make room for a file at `target`.

    Links on the way to it are removed and not followed, because they may lead to the user's own files.
    """
    relative = target.relative_to(root)
    if not stays_inside(str(relative)):
        raise UsageError(f"{target}: leads out of {root}, expected a name inside it; nothing was written")
    for path in (*reversed(relative.parents[:-1]), relative):
        if (root / path).is_symlink() or (root / path).is_file():
            (root / path).unlink()
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)


def link_shared_files(repository: Repository, tree: Worktree, names: Sequence[str]) -> None:
    """Link files that git ignores (images, weights) into a side."""
    for name in names:
        source = Path(os.path.normpath(repository.project_root / name))
        if not source.exists() or repository.root not in source.parents:
            raise UsageError(f"--share {name}: not found in {repository.root}; name a file or folder in it")
        checkout = tree.path.resolve()
        target = checkout / source.relative_to(repository.root)
        if target.exists():
            continue
        if resolves_inside(target.parent, checkout):
            target = target.parent.resolve() / target.name
        clear_path(target, checkout)
        target.symlink_to(source)


def refuse_outside_project(tree: Worktree) -> None:
    """Refuse a side whose project folder is a link to elsewhere: it would be prepared and run there."""
    if not resolves_inside(tree.project_root, tree.path):
        folder = tree.project_root.relative_to(tree.path)
        raise UsageError(
            f"{tree.side}: {folder} is a link or lies behind one that leads out of the checkout of "
            f"{tree.label}, expected a folder inside it; gate from the repository's root"
        )


def changed_packages(repository: Repository, worktrees: Mapping[str, Worktree]) -> frozenset[str]:
    """The packages that hold what differs between the sides."""
    commits = {tree.commit for tree in worktrees.values()}
    names = {name for tree in worktrees.values() for name in tree.uncommitted_files}
    if len(commits) > 1:
        names |= {*git_output(repository.root, "diff", "--name-only", "-z", *commits, who="git").split("\0")}
    return frozenset[str]().union(*(packages_of_files(names, tree.path) for tree in worktrees.values()))


def foreign_package_error(who: str, package: str, path: str) -> UsageError:
    """The error where Python finds a package of the project elsewhere: other code would be measured."""
    return UsageError(
        f"{who}: {package} is imported from {path}, expected its own source; the environment has another "
        "one. Gate with an environment for each side: perfsuite gate --prepare 'uv venv' --prepare "
        "'uv pip install -e .'"
    )


def run_prepare_commands(tree: Worktree, commands: Sequence[str], log: Path) -> Worktree:
    """Run the project's own preparation in a side; a `.venv` that it makes becomes the side's environment."""
    excluded = {"VIRTUAL_ENV", "PYTHONPATH", *GIT_LOCATION_VARIABLES}
    inherited = {name: value for name, value in os.environ.items() if name not in excluded}
    environment = {**inherited, RUN_VARIABLE: tree.path.parent.name}
    for command in commands:
        with log.open("ab") as out:
            try:
                done = subprocess.run(
                    shlex.split(command),
                    cwd=tree.project_root,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            except OSError as error:
                raise UsageError(
                    f"--prepare {command!r}: {error}; expected a program and its arguments"
                ) from error
        if done.returncode:
            raise UsageError(
                f"--prepare {command!r}: exit status {done.returncode} in {tree.side}, expected 0; "
                f"the end of its output:\n{log_tail(log, 2000)}"
            )
    own_python = tree.project_root / ".venv" / "bin" / "python"
    python = str(own_python) if own_python.exists() else tree.python
    return replace(tree, python=python, is_prepared=bool(commands))


def refuse_in_place_extensions(repository: Repository, sources: ProjectSources) -> None:
    """Refuse extensions that were built in place: they are not in git, so a worktree would lack them."""
    untracked = git_output(
        repository.project_root, "ls-files", "--others", "-z", "--", *sources.folders, who="git"
    )
    for name in untracked.split("\0"):
        parts = Path(name).parts
        is_of_project = set(parts) & set(sources.packages) and "site-packages" not in parts
        if name.endswith(EXTENSION_SUFFIXES) and is_of_project:
            raise UsageError(
                f"{name}: compiled in place and not in git, so neither side would have it; build each side "
                "with --prepare, for example --prepare 'uv venv' --prepare 'uv pip install -e .'"
            )
