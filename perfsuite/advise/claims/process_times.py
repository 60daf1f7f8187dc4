"""Whole processes, start and imports included: what the clock on the wall and the processors say of each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from perfsuite.errors import PerfsuiteError


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """Of one process and those it waited for, in seconds."""

    real: float
    user: float
    system: float


def time_process(command: Sequence[str]) -> ProcessTimes:
    """Run a command to its end; one that fails is an error, not a short time.

    >>> time_process(["true"]).user < 1
    True
    """
    before, began = os.times(), perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    real, after = perf_counter() - began, os.times()
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        raise PerfsuiteError(f"{' '.join(command)}: exit {done.returncode}, expected 0 ({last}); not timed")
    return ProcessTimes(
        real,
        after.children_user - before.children_user,
        after.children_system - before.children_system,
    )


def time_processes_in_turns(
    commands: Mapping[str, Sequence[str]], seconds: float, at_least: int = 3
) -> dict[str, tuple[ProcessTimes, ...]]:
    """Every command once a round, every second round backwards, for about `seconds`."""
    taken: dict[str, list[ProcessTimes]] = {name: [] for name in commands}
    names, began, rounds = list(commands), perf_counter(), 0
    while rounds < at_least or perf_counter() - began < seconds:
        for name in names if rounds % 2 == 0 else reversed(names):
            taken[name].append(time_process(commands[name]))
        rounds += 1
    return {name: tuple(times) for name, times in taken.items()}
