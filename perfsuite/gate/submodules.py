"""Check out submodules into a side, from the repository's own clones, so that nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from perfsuite.gate.git import changed_files, git_output, run_git
from perfsuite.gate.worktree import copy_files
from perfsuite.paths import link_on_the_way


def check_out_submodules(
    repository: Path, commit: str, worktree: Path, is_working_tree: bool = False
) -> list[str]:
    """Check out each submodule of `commit` into a worktree; return which could not be, and why.

    With `is_working_tree`, the submodule's uncommitted files are copied too.
    """
    problems = []
    for name, pinned in _pinned_commits(repository, commit):
        clone, target = repository / name, worktree / name
        if target.is_symlink() or link_on_the_way(target, worktree) is not None:
            # Written through the link, it would overwrite what the link leads to.
            problems.append(f"submodule {name} is or lies behind a link here; the link was left as it is")
        elif not (clone / ".git").exists():
            problems.append(f"submodule {name} is not here; git submodule update --init")
        elif run_git(clone, "cat-file", "-e", f"{pinned}^{{commit}}").returncode:
            problems.append(f"submodule {name} lacks {pinned[:12]} here; git -C {name} fetch")
        else:
            _check_out_submodule(clone, pinned, target)
            if is_working_tree:
                copy_files(clone, target, changed_files(clone, pinned))
            inner_commit = "HEAD" if is_working_tree else pinned
            problems += check_out_submodules(clone, inner_commit, target, is_working_tree)
    return problems


def _pinned_commits(repository: Path, commit: str) -> Iterator[tuple[str, str]]:
    """Each submodule of a commit, with the commit of its own that is recorded for it."""
    for entry in git_output(repository, "ls-tree", "-r", "-z", "--full-tree", commit, who=commit).split("\0"):
        facts, _, name = entry.partition("\t")
        if facts.startswith("160000 "):
            yield name, facts.split()[2]


def _check_out_submodule(clone: Path, commit: str, target: Path) -> None:
    """Write one commit's files, through an index of its own.

    The clone's index belongs to its user, and `git archive` leaves out what is marked export-ignore.
    """
    target.mkdir(parents=True, exist_ok=True)
    index = target.parent / f".{target.name}.perfsuite-index"
    try:
        git_output(clone, "read-tree", commit, who=str(clone), GIT_INDEX_FILE=str(index))
        arguments = ["checkout-index", "--all", "--force", f"--prefix={target}/"]
        git_output(clone, *arguments, who=str(clone), GIT_INDEX_FILE=str(index))
    finally:
        index.unlink(missing_ok=True)
