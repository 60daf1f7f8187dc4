"""What a family of counters declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum, StrEnum

Counts = Counter[str]


class Direction(StrEnum):
    """Which change of a counter is an improvement."""

    LESS_IS_BETTER = "less is better"
    MORE_IS_BETTER = "more is better"


class Level(IntEnum):
    """The order in which families are entered. The last of nested dispatch modes sees operators first."""

    OUTER = 0
    FORMULAS = 1  # a dispatch mode that may decompose operators
    OPERATORS = 2  # a dispatch mode that must see operators before they are decomposed


@dataclass(frozen=True, slots=True)
class CounterFamily:
    """Counters that are counted together. `watch(counts)` adds to `counts` what happens in its block."""

    directions: Mapping[str, Direction]
    watch: Callable[[Counts], AbstractContextManager[None]]
    needs_module: str | None = None  # counted only if the process has imported it already
    level: Level = Level.OUTER


def less_is_better(*names: str) -> dict[str, Direction]:
    return dict.fromkeys(names, Direction.LESS_IS_BETTER)
