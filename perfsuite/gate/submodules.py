"""Submodules of one side: from the clones that lie in the repository already, so that nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from perfsuite.gate.worktree import changed_files, copy_files, git_output, run_git
from perfsuite.paths import link_on_the_way


def check_out_submodules(repository: Path, commit: str, worktree: Path, as_it_is: bool = False) -> list[str]:
    """Lay each submodule into a worktree of `commit`; with `as_it_is` the way it is in the repository now.
    Names those that could not be laid, and why."""
    lacking = []
    for name, pinned in _pinned_commits(repository, commit):
        clone, target = repository / name, worktree / name
        if target.is_symlink() or link_on_the_way(target, worktree) is not None:
            # Laid through the link, it would overwrite what the link leads to.
            lacking.append(f"submodule {name} is or lies behind a link here; the link was left as it is")
        elif not (clone / ".git").exists():
            lacking.append(f"submodule {name} is not here; git submodule update --init")
        elif run_git(clone, "cat-file", "-e", f"{pinned}^{{commit}}").returncode:
            lacking.append(f"submodule {name} lacks {pinned[:12]} here; git -C {name} fetch")
        else:
            _check_out_submodule(clone, pinned, target)
            if as_it_is:
                copy_files(clone, target, changed_files(clone, pinned))
            lacking += check_out_submodules(clone, "HEAD" if as_it_is else pinned, target, as_it_is)
    return lacking


def _pinned_commits(repository: Path, commit: str) -> Iterator[tuple[str, str]]:
    """Each submodule of a commit, and which of its own commits is meant."""
    for entry in git_output(repository, "ls-tree", "-r", "-z", "--full-tree", commit, who=commit).split("\0"):
        facts, _, name = entry.partition("\t")
        if facts.startswith("160000 "):
            yield name, facts.split()[2]


def _check_out_submodule(clone: Path, commit: str, target: Path) -> None:
    """By an index of our own: the clone's is its user's, and an archive leaves out what is not for export."""
    target.mkdir(parents=True, exist_ok=True)
    index = target.parent / f".{target.name}.perfsuite-index"
    try:
        git_output(clone, "read-tree", commit, who=str(clone), GIT_INDEX_FILE=str(index))
        words = ["checkout-index", "--all", "--force", f"--prefix={target}/"]
        git_output(clone, *words, who=str(clone), GIT_INDEX_FILE=str(index))
    finally:
        index.unlink(missing_ok=True)
