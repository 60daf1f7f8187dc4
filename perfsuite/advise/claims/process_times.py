"""Time whole processes, start-up and imports included: wall-clock and CPU time of each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from random import Random
from time import perf_counter

from perfsuite.advise.time_limit import TimeLimit
from perfsuite.errors import PerfsuiteError
from perfsuite.measure.turns import run_blocks

MAX_MESSAGE_CHARS = 300


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """Seconds of one process and its children, as the shell's `time` prints them."""

    real: float
    user: float
    system: float


CLOCKS = tuple(field.name for field in fields(ProcessTimes))


def time_process(command: Sequence[str]) -> ProcessTimes:
    """Run a command to its end; PerfsuiteError if it fails.

    >>> time_process(["true"]).user < 1
    True
    """
    before, begin = os.times(), perf_counter()
    try:
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise PerfsuiteError(
            f"{' '.join(command)}: {error.strerror}, expected a program that runs"
        ) from error
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
    commands: Mapping[str, Sequence[str]],
    seconds: float,
    min_rounds: int = 3,
    into: dict[str, list[ProcessTimes]] | None = None,
) -> dict[str, tuple[ProcessTimes, ...]]:
    """Time every command twice per block of turns, at least `min_rounds` times, and then for `seconds`.

    No block begins that would end later, by the time of those before it.

    `into` gets each time at once, so that a caller that is interrupted has those that were taken.
    """
    times: dict[str, list[ProcessTimes]] = {} if into is None else into
    times.update({name: [] for name in commands})
    limit = TimeLimit.start(seconds)

    def turn(name: str) -> float:
        times[name].append(time_process(commands[name]))
        return times[name][-1].real

    def should_stop(blocks: int) -> bool:
        return blocks > 0 and 2 * blocks >= min_rounds and not limit.suffices_for_another(blocks)

    for _ in run_blocks(list(commands), turn, should_stop=should_stop, rng=Random()):
        pass
    return {name: tuple(taken) for name, taken in times.items()}
