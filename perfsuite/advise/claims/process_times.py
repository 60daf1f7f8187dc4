"""Time whole processes, start-up and imports included: wall-clock and CPU time of each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from perfsuite.errors import PerfsuiteError

MAX_MESSAGE_CHARS = 300


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """Seconds of one process and its children, as the shell's `time` prints them."""

    real: float
    user: float
    system: float


def time_process(command: Sequence[str]) -> ProcessTimes:
    """Run a command to its end; PerfsuiteError if it fails.

    >>> time_process(["true"]).user < 1
    True
    """
    before, begin = os.times(), perf_counter()
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    real, after = perf_counter() - begin, os.times()
    if process.returncode != 0:
        message = (process.stderr.strip().splitlines() or ["no message"])[-1][:MAX_MESSAGE_CHARS]
        raise PerfsuiteError(
            f"{' '.join(command)}: exit {process.returncode}, expected 0 ({message}); not timed"
        )
    return ProcessTimes(
        real=real,
        user=after.children_user - before.children_user,
        system=after.children_system - before.children_system,
    )


def time_processes_in_turns(
    commands: Mapping[str, Sequence[str]], seconds: float, min_rounds: int = 3
) -> dict[str, tuple[ProcessTimes, ...]]:
    """Run every command once per round, every second round in reverse order, for about `seconds`."""
    times: dict[str, list[ProcessTimes]] = {name: [] for name in commands}
    names, begin, rounds = list(commands), perf_counter(), 0
    while rounds < min_rounds or perf_counter() - begin < seconds:
        for name in names if rounds % 2 == 0 else reversed(names):
            times[name].append(time_process(commands[name]))
        rounds += 1
    return {name: tuple(taken) for name, taken in times.items()}
