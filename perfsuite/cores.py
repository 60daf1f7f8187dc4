"""The cores that this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Count them; in a container or under taskset they are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
