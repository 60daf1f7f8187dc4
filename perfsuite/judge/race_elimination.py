"""Decide which of several sides in turns cannot be the fastest, so that their turns may end early.

>>> steady = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99]
>>> sides = {"slow": [1.5 * second for second in steady], "fast": steady, "alike": [1.001] * 6}
>>> sides_to_stop(sides, margin=0.03)
{'slow'}
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from perfsuite.judge.order_statistics import median_interval

# Six blocks are the fewest whose median has an interval at this level. A side is stopped wrongly by one look
# with a chance of at most 1/64 where it is slower by exactly the margin; the fastest side, with less.
ELIMINATION_LEVEL = 0.96
FIRST_LOOK = 6
BLOCKS_BETWEEN_LOOKS = 4

Side = TypeVar("Side", bound=Hashable)


def is_time_to_look(blocks: int) -> bool:
    """Looks are few, because each has a chance of stopping a side wrongly.

    >>> [blocks for blocks in range(20) if is_time_to_look(blocks)]
    [6, 10, 14, 18]
    """
    return blocks >= FIRST_LOOK and (blocks - FIRST_LOOK) % BLOCKS_BETWEEN_LOOKS == 0


def sides_to_stop(seconds: Mapping[Side, Sequence[float]], margin: float) -> set[Side]:
    """The sides that another side is faster than by more than the margin, for certain.

    `seconds` has one value per block, in the same blocks for all sides. One side always remains.
    """
    slower = {
        side
        for side in seconds
        if any(_is_slower(seconds[side], seconds[other], margin) for other in seconds if other != side)
    }
    # Medians of ratios need not be transitive: three sides may each be slower than another.
    return slower if len(slower) < len(seconds) else set()


def _is_slower(mine: Sequence[float], other: Sequence[float], margin: float) -> bool:
    ratios = [upper / lower for upper, lower in zip(mine, other, strict=True)]
    return median_interval(ratios, ELIMINATION_LEVEL).low > 1 + margin
