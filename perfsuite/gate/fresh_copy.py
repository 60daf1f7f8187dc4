"""Fresh copies of a side's checkout, one for each timed process.

What depends on the path of a checkout would favor one side through the whole gate. A copy under a random name
draws it anew in each pair. No path ever holds the code of another commit, so that a cache whose keys are
paths cannot serve it.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from perfsuite.gate.worktree import Worktree

MAX_FILES = 20_000  # of a checkout that is copied for each pair; a file takes 50 microseconds
NAME_BITS = 32


def can_be_copied(tree: Worktree) -> bool:
    """Whether a checkout may run elsewhere, and is small: an environment in it holds absolute paths."""
    if tree.is_prepared:
        return False
    files = 0
    for _, _, names in os.walk(tree.path):
        files += len(names)
        if files > MAX_FILES:
            return False
    return True


@contextmanager
def fresh_copy(tree: Worktree, rng: random.Random) -> Iterator[Worktree]:
    """A copy of a checkout beside it, whose name has the same length each time and is drawn by `rng`.

    Files are links to the same data: bytecode stays valid, and what a test writes to an existing file is
    still there in the next pair, as in the checkout itself.
    """
    path = tree.path.with_name(f"{rng.getrandbits(NAME_BITS):0{NAME_BITS // 4}x}")
    try:
        shutil.copytree(tree.path, path, symlinks=True, copy_function=_link_or_copy)
        yield replace(tree, path=path, project_root=path / tree.project_root.relative_to(tree.path))
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
