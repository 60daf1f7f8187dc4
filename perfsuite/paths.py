"""Which paths stay inside a folder. A link may lead anywhere, so check before a write or removal."""

from __future__ import annotations

import os
from pathlib import Path


def stays_inside(name: str) -> bool:
    """Whether a relative name stays in the folder that it is joined to. Only the text is looked at.

    >>> stays_inside("images/1.jpg"), stays_inside("../1.jpg"), stays_inside("/1.jpg")
    (True, False, False)
    """
    return not os.path.isabs(name) and ".." not in Path(name).parts  # noqa: PTH117 - per row


def resolves_inside(path: Path, root: Path) -> bool:
    """Whether `path`, with every link followed, is `root` or lies in it. A loop of links lies nowhere."""
    try:
        resolved = path.resolve()
        # From Python 3.13 on, a loop is not an error but resolves to one of its own links.
        return resolved.is_relative_to(root.resolve()) and not resolved.is_symlink()
    except (OSError, RuntimeError):
        return False


def link_on_the_way(path: Path, root: Path) -> Path | None:
    """The first link among the folders that lead from `root` to `path`; `path` itself may be one."""
    for folder in (*path.relative_to(root).parents,)[-2::-1]:
        if (root / folder).is_symlink():
            return root / folder
    return None
