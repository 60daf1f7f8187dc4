"""Run several ranks on this machine under torchrun, and end them all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

from perfsuite.cores import usable_cores
from perfsuite.errors import PerfsuiteError
from perfsuite.signals import started

# How long torchrun waits, after one rank has died, for the others to end before it kills them.
SHUTDOWN_SECONDS = 10
STDERR_TAIL_CHARS = 4000  # of the ranks' stderr, in an error message


def torchrun_command(ranks: int, words: Sequence[str]) -> list[str]:
    """A torchrun command with its rendezvous on this machine, at a free port."""
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)),
        *("--master-addr", "127.0.0.1", "--master-port", "0", "--rdzv-backend", "c10d"),
        *("--rdzv-endpoint", "127.0.0.1:0", *words),
    ]


def start_ranks(
    ranks: int, words: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start all ranks, out of reach of the terminal's Ctrl-C.

    Each gets its share of the cores, unless OMP_NUM_THREADS says otherwise.
    """
    threads = max(1, usable_cores() // ranks)
    variables = {
        "OMP_NUM_THREADS": str(threads),
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(SHUTDOWN_SECONDS),
        **os.environ,
        **(environment or {}),
    }
    pipe = subprocess.PIPE
    return subprocess.Popen(
        torchrun_command(ranks, words),
        stdout=pipe,
        stderr=pipe,
        text=True,
        env=variables,
        start_new_session=True,
    )


def run_ranks(
    ranks: int, words: Sequence[str], within_seconds: float, environment: Mapping[str, str] | None = None
) -> str:
    """Run the words on every rank, and return what they print; the words are a script, or -m and a module.

    Where a rank fails, or the time is over, all are killed and PerfsuiteError says why.
    """
    with started(lambda: start_ranks(ranks, words, environment), _end_ranks) as process:
        try:
            out, err = process.communicate(timeout=within_seconds)
        except subprocess.TimeoutExpired as error:
            raise PerfsuiteError(
                f"torchrun: {' '.join(words)} has not ended after {within_seconds:g} s; "
                f"its {ranks} ranks were killed"
            ) from error
    if process.returncode != 0:
        raise PerfsuiteError(
            f"torchrun: {' '.join(words)} on {ranks} ranks: exit {process.returncode}, expected 0:\n"
            f"{err[-STDERR_TAIL_CHARS:]}"
        )
    return out


def _end_ranks(process: subprocess.Popen[str]) -> None:
    with process:  # waits for it, and closes its pipes
        kill_ranks(process)


def kill_ranks(process: subprocess.Popen[str]) -> None:
    """Kill torchrun, and its ranks, each of which has a session of its own."""
    if process.poll() is not None:
        return
    torchrun = psutil.Process(process.pid)
    with suppress(psutil.NoSuchProcess):
        torchrun.suspend()  # it starts no further rank
        for each in (*torchrun.children(recursive=True), torchrun):
            with suppress(psutil.NoSuchProcess):
                each.kill()
