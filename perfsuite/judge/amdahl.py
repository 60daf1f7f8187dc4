"""Amdahl's bound: how much faster a whole becomes if one part of it takes no time."""

from __future__ import annotations

from math import inf


def max_speedup_without(part: float, whole: float = 1.0) -> float:
    """The speed-up of the whole if `part` took no time; infinite where nothing else takes any.

    >>> max_speedup_without(0.5), max_speedup_without(6.0, whole=8.0), max_speedup_without(1.0)
    (2.0, 4.0, inf)
    """
    rest = whole - part
    return whole / rest if rest > 0 else inf
