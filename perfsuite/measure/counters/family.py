"""What a family of counters declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from threading import RLock

KERNEL_PREFIX = "kernel: "  # of the number of times that one kernel ran, which explains other counters


class Counts(Counter[str]):
    """The counters of one call, and what the first call found out for those that follow."""

    records_gradients: bool = False  # whether autograd recorded any operator
    missing: str = ""  # why a family could not count


_lock = RLock()  # reentrant: garbage collection may run a finalizer that opens a file, which is counted


class Direction(StrEnum):
    """Which change of a counter is an improvement."""

    LESS_IS_BETTER = "less is better"
    MORE_IS_BETTER = "more is better"


class Level(IntEnum):
    """The order in which families are entered. The last of nested dispatch modes sees operators first."""

    OUTER = 0
    FORMULAS = 1  # a dispatch mode that may decompose operators
    OPERATORS = 2  # a dispatch mode that must see operators before they are decomposed
    INNERMOST = 3  # must not see the work of entering other families, such as their imports


class Scope(Enum):
    """Where a family sees work. No family sees other processes."""

    PROCESS = "all threads of the process"
    CALLING_THREAD = "the thread that makes the call"


@dataclass(frozen=True, slots=True)
class CounterFamily:
    """Counters that are counted together. `watch(counts)` adds to `counts` what happens in its block.

    Every counter in `directions` starts at 0, so what was watched and did not happen is 0. A counter without
    a direction, or of a family that needs a device, exists only if `watch` adds to it, be it 0:
    `counts[name] += 0`.
    """

    directions: Mapping[str, Direction]
    watch: Callable[[Counts], AbstractContextManager[None]]
    needs_module: str | None = None  # counted only if the process has imported it already
    level: Level = Level.OUTER
    scope: Scope = Scope.PROCESS
    needs_device: bool = False  # a ceiling on its counters cannot be kept by a machine without a device
    # Counted in a call of its own, if the counts of the first call say that it is worth one.
    own_call_if: Callable[[Counts], bool] | None = None
    contributes_to: tuple[str, ...] = ()  # counters of other families


def less_is_better(*names: str) -> dict[str, Direction]:
    return dict.fromkeys(names, Direction.LESS_IS_BETTER)


def add(counts: Counts, name: str, number: int = 1) -> None:
    """Add to a counter from any thread."""
    with _lock:
        counts[name] += number
