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


def max_speedup_with_overlap(part: float, side: float, other_side: float) -> float:
    """The same where two sides run at once, as workers that load beside a step: the slower one is the whole.

    `part` belongs to `side`. Removing it gains nothing where the other side takes longer.

    >>> max_speedup_with_overlap(6.0, side=8.0, other_side=4.0), max_speedup_with_overlap(6.0, 8.0, 16.0)
    (2.0, 1.0)
    """
    rest = max(side - part, other_side)
    return max(side, other_side) / rest if rest > 0 else inf


def saved_fraction(speedup: float) -> float:
    """The fraction of the time that a speed-up saves.

    >>> saved_fraction(4.0), saved_fraction(inf)
    (0.75, 1.0)
    """
    return 1 - 1 / speedup
