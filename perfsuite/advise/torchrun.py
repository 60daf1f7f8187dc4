"""Starts torchrun on this machine and sees that it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from perfsuite.errors import PerfsuiteError

# What torchrun gives the other ranks to end by themselves, once one has died, before it kills them.
SHUTDOWN_SECONDS = 10
STDERR_TAIL_CHARS = 4000  # characters of what the ranks said, where they failed


def torchrun_command(ranks: int, words: Sequence[str]) -> list[str]:
    """torchrun with a meeting place on this machine, at whatever port is free."""
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)),
        *("--master-addr", "127.0.0.1", "--master-port", "0", "--rdzv-backend", "c10d"),
        *("--rdzv-endpoint", "127.0.0.1:0", *words),
    ]


def start_ranks(
    ranks: int, words: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """All ranks, in a session of their own; each with its share of the cores unless told otherwise."""
    threads = max(1, (os.cpu_count() or 1) // ranks)
    told = {
        "OMP_NUM_THREADS": str(threads),
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(SHUTDOWN_SECONDS),
        **os.environ,
        **(environment or {}),
    }
    pipe = subprocess.PIPE
    return subprocess.Popen(
        torchrun_command(ranks, words), stdout=pipe, stderr=pipe, text=True, env=told, start_new_session=True
    )


def run_ranks(
    ranks: int, words: Sequence[str], within_seconds: float, environment: Mapping[str, str] | None = None
) -> str:
    """What they printed; where they fail, or are not done in time, all are ended and the reason is raised.

    The words are a script with its arguments, or -m and a module.
    """
    with start_ranks(ranks, words, environment) as process:
        try:
            out, said = process.communicate(timeout=within_seconds)
        except subprocess.TimeoutExpired as error:
            raise PerfsuiteError(
                f"torchrun: {' '.join(words)} has not ended after {within_seconds:g} s; "
                f"its {ranks} ranks were killed"
            ) from error
        finally:
            kill_ranks(process)
    if process.returncode != 0:
        raise PerfsuiteError(
            f"torchrun: {' '.join(words)} on {ranks} ranks: exit {process.returncode}, expected 0:\n"
            f"{said[-STDERR_TAIL_CHARS:]}"
        )
    return out


def kill_ranks(process: subprocess.Popen[str]) -> None:
    """Kill whatever is left of the session: torchrun killed alone would leave its ranks behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
