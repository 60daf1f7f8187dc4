"""What a stage is: a name, a time limit, and a function that yields rows of results."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_proof.rows_plugin import FAILED, REHEARSAL_VARIABLE, ROWS_VARIABLE

ROOT = Path(__file__).parents[2]
REHEARSAL_SECONDS = 0.05  # of a benchmark; it is entered, and measures nothing


@dataclass(frozen=True, slots=True)
class Row:
    """One result. `note` says what was skipped or went wrong, and the spread where there is one."""

    what: str
    value: str
    note: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StageContext:
    """Where a stage writes its files, and whether it only rehearses on the CPU."""

    out: Path
    is_rehearsal: bool
    rows_file: Path  # JSON lines, appended to

    @property
    def device(self) -> str:
        return "cpu" if self.is_rehearsal else "cuda"

    def size(self, full: int, rehearsal: int) -> int:
        return rehearsal if self.is_rehearsal else full

    def run(self, *command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """Run a command with this interpreter; its output is kept beside the results."""
        environment = {**os.environ, "PYTHONPATH": python_path(), ROWS_VARIABLE: str(self.rows_file)}
        done = subprocess.run(
            [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        with (self.out / "commands.log").open("a", encoding="utf-8") as log:
            log.write(f"$ python {' '.join(command)}\n{done.stdout}{done.stderr}exit {done.returncode}\n\n")
        return done

    def pytest(self, *arguments: str) -> None:
        """Run GPU tests or benchmarks, whose rows are appended while they run.

        RuntimeError where anything failed but a limit, or nothing ran.
        """
        plugin = [] if _is_installed() else ["-p", "perfsuite.pytest_plugin"]
        plugin += ["-p", "benchmarks.gpu_proof.rows_plugin"]
        plugin += ["--continue-on-collection-errors"]  # of tests that need what is not installed
        done = self.run("-m", "pytest", *plugin, "-q", "-m", "gpu", "--perf-no-save", *arguments)
        if done.returncode == FAILED:
            raise RuntimeError("tests failed, and not by a limit; their rows and commands.log say how")
        if done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise RuntimeError(f"pytest: exit {done.returncode}: {_last_line(done.stdout + done.stderr)}")


StageFunction = Callable[[StageContext], Iterator[Row]]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage. Stages run in the order of `order`, the most valuable first."""

    order: int
    name: str
    title: str
    limit_seconds: int
    run: StageFunction


def benchmark_stage(
    *, order: int, name: str, title: str, limit_seconds: int, file: str, seconds: float
) -> Stage:
    """A stage that runs the GPU benchmarks of a file, each for this long."""

    def run(context: StageContext) -> Iterator[Row]:
        budget = REHEARSAL_SECONDS if context.is_rehearsal else seconds
        context.pytest(file, "--slow", f"--perf-max-time={budget}", "--benchmark-max-time=0.1")
        return iter(())

    return Stage(order=order, name=name, title=title, limit_seconds=limit_seconds, run=run)


def _is_installed() -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        version("perfsuite")
    except PackageNotFoundError:
        return False
    return True


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "no output")


def python_path() -> str:
    """This repository, then what the caller added, such as a folder of packages."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def is_rehearsal(environment: Any = os.environ) -> bool:
    return bool(environment.get(REHEARSAL_VARIABLE))
