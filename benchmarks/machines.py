"""Run the benchmarks as on other machines: fewer cores, a busy core, older instructions.

    python -m benchmarks.machines --repeats 3
    python -m benchmarks.machines --only "one core" -- -k test_loaders

Every limit in benchmarks/ should hold on each; the exit code is 1 where one does not. What follows `--` goes
to pytest.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
KEEP_BUSY = "while True: sum(range(10_000))"
# Vector instructions that each library is told not to use.
OLD_INSTRUCTIONS = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    # NumPy refuses names that it does not know, and they change with its version.
    "NPY_DISABLE_CPU_FEATURES": " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"]),
    "NUMBA_CPU_NAME": "x86-64-v2",
    "NUMBA_CPU_FEATURES": "",
    "OPENCV_CPU_DISABLE": "AVX2,AVX512F,AVX512-SKX",
    "JSIMD_FORCESSE2": "1",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What makes this machine like another one."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: frozenset[int] | None = None  # that the benchmarks may use
    has_busy_core: bool = False


def machines() -> tuple[Machine, ...]:
    """The machines that can be imitated here."""
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    one_core = (Machine("one core", cores=frozenset(available[:1])),) if available else ()
    return (
        Machine("as it is"),
        *one_core,
        Machine("one core busy", has_busy_core=True),
        Machine("instructions of 2009", environment=OLD_INSTRUCTIONS),
    )


@dataclass(frozen=True, slots=True)
class BenchRun:
    exit_code: int
    summary: str  # the last line that counts limits
    seconds: float


def run_benchmarks(machine: Machine, pytest_args: Sequence[str]) -> BenchRun:
    begin = time.perf_counter()
    with busy_core(machine.has_busy_core):
        done = subprocess.run(
            [*_pinned(machine), sys.executable, "-m", "pytest", "benchmarks", "--perf-no-save", *pytest_args],
            cwd=ROOT,
            env={**os.environ, **machine.environment},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if re.match(r"\d+ measured", line)]
    summary = lines[-1] if lines else f"{done.stdout[-300:]}{done.stderr[-300:]}"
    return BenchRun(done.returncode, summary, time.perf_counter() - begin)


def _pinned(machine: Machine) -> list[str]:
    return ["taskset", "-c", ",".join(map(str, sorted(machine.cores)))] if machine.cores else []


@contextmanager
def busy_core(is_wanted: bool) -> Iterator[None]:
    """Keep one core busy where that is wanted."""
    if not is_wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", KEEP_BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = machines()
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", action="append", choices=[machine.name for machine in known])
    parser.add_argument("pytest_args", nargs="*", metavar="PYTEST")
    arguments = parser.parse_args(argv)
    failed = 0
    for machine in known:
        for _ in range(arguments.repeats if not arguments.only or machine.name in arguments.only else 0):
            run = run_benchmarks(machine, arguments.pytest_args)
            failed += run.exit_code != 0
            print(
                f"{machine.name}: exit code {run.exit_code}, {run.seconds:.0f} s: {run.summary}", flush=True
            )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
