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


def measured_overlap(side: float, other_side: float, together: float) -> float:
    """How far two sides run at once: 0 one after the other, 1 as long as the slower one takes.

    >>> measured_overlap(3.0, 2.0, together=5.0), measured_overlap(3.0, 2.0, together=3.0)
    (0.0, 1.0)
    """
    saved = side + other_side - together
    return min(1.0, max(0.0, saved / min(side, other_side)))


def max_speedup_with_measured_overlap(part: float, side: float, other_side: float, overlap: float) -> float:
    """The speed-up if `part` of `side` took no time, where the sides overlap as they did when measured.

    >>> max_speedup_with_measured_overlap(2.0, 3.0, 2.0, overlap=0.0)
    1.6666666666666667
    >>> max_speedup_with_measured_overlap(2.0, 3.0, 2.0, overlap=1.0)
    1.5
    """
    before = _time_together(side, other_side, overlap)
    after = _time_together(max(0.0, side - part), other_side, overlap)
    return before / after if after > 0 else inf


def _time_together(side: float, other_side: float, overlap: float) -> float:
    return max(side, other_side) + (1 - overlap) * min(side, other_side)
