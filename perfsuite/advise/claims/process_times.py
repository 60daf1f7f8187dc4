"""Whole processes, start and imports included: what the clock on the wall and the processors say of each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from time import perf_counter

from perfsuite.errors import PerfsuiteError
from perfsuite.measure.turns import run_blocks


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
    """Time every command twice per block of turns, for about `seconds`."""
    times: dict[str, list[ProcessTimes]] = {name: [] for name in commands}
    start = perf_counter()

    def turn(name: str) -> float:
        times[name].append(time_process(commands[name]))
        return times[name][-1].real

    def should_stop(blocks: int) -> bool:
        return 2 * blocks >= at_least and perf_counter() - start >= seconds

    for _ in run_blocks(list(commands), turn, should_stop=should_stop, rng=Random()):
        pass
    return {name: tuple(each) for name, each in times.items()}
