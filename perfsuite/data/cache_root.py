"""The cache directory, for files that can be generated again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """The folder `perfsuite` in XDG_CACHE_HOME, or in ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore a relative path.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "perfsuite"
