"""Check that paths stay inside a folder. A link may lead anywhere, so check before each write or removal."""

from __future__ import annotations

import os
from pathlib import Path


def stays_inside(name: str) -> bool:
    """Whether a relative name stays in the folder that it is joined to. Checks the text only, not links.

    >>> stays_inside("images/1.jpg"), stays_inside("../1.jpg"), stays_inside("/1.jpg")
    (True, False, False)
    """
    return not os.path.isabs(name) and ".." not in Path(name).parts  # noqa: PTH117 - per row


def resolves_inside(path: Path, root: Path) -> bool:
    """Whether `path` is `root` or in it, with every link followed.

    False for a loop of links, and for a text that cannot be a path.
    """
    try:
        resolved = path.resolve()
        # From Python 3.13 on, a loop raises no error and resolves to one of its own links.
        return resolved.is_relative_to(root.resolve()) and not resolved.is_symlink()
    except (OSError, RuntimeError, ValueError):
        return False


def link_on_the_way(path: Path, root: Path) -> Path | None:
    """The first link among the folders between `root` and `path`. `path` itself is not checked."""
    for folder in (*path.relative_to(root).parents,)[-2::-1]:
        if (root / folder).is_symlink():
            return root / folder
    return None
