"""A row: one required capability, the command that shows it, and the figure in what the command prints."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TAIL_LINES = 3  # of what a failing command printed


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`command` is what a user types; {seconds}, {long} and {rounds} in it are replaced.

    `figure` is a regular expression; what it matches in the output is shown. A command that exits with
    another code than `exit_codes`, or prints no figure, has failed.
    """

    id: str
    what: str
    command: str
    figure: str
    exit_codes: tuple[int, ...] = (0,)
    max_figures: int = 4
    is_gpu_only: bool = False
    gpu_part: str = ""  # what of it only a GPU can show
    package: str = ""  # an optional package that the command needs


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """What one command printed, and its exit code; None where it was killed after the time limit."""

    exit_code: int | None
    text: str


@dataclass(frozen=True, slots=True)
class RowResult:
    """The verdict of a row: works, in part, needs a GPU, not run (a package is missing), or fails."""

    row: Row
    verdict: str
    figures: tuple[str, ...] = ()
    reason: str = ""

    @property
    def has_failed(self) -> bool:
        return self.verdict == "fails"


# Runs the words in a folder, within so many seconds.
Runner = Callable[[Sequence[str], Path, float], CommandOutput]


def run_command(words: Sequence[str], folder: Path, seconds: float) -> CommandOutput:
    """Run a command without a shell; standard error comes first in the text.

    `python` is this Python in commands that a command starts, as in an activated environment.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return CommandOutput(None, str(error))
    except OSError as error:
        return CommandOutput(-1, str(error))
    return CommandOutput(done.returncode, f"{done.stderr}\n{done.stdout}")


def command_words(command: str) -> list[str]:
    """The words to run, with this Python for `perfsuite`, `pytest` and `python`.

    >>> command_words("perfsuite sweep")[1:]
    ['-m', 'perfsuite', 'sweep']
    """
    program, *rest = shlex.split(command)
    if program == "python":
        return [sys.executable, *rest]
    if program in ("perfsuite", "pytest"):
        return [sys.executable, "-m", program, *rest]
    return [program, *rest]


def judge_row(row: Row, output: CommandOutput, has_gpu: bool) -> RowResult:
    """The verdict of a row by what its command printed."""
    if output.exit_code not in row.exit_codes:
        ended = "ran out of time" if output.exit_code is None else f"exit code {output.exit_code}"
        tail = " / ".join(output.text.strip().splitlines()[-TAIL_LINES:])
        return RowResult(row, "fails", reason=f"{ended}: {tail}")
    figures = tuple(_figures(row.figure, output.text))[: row.max_figures]
    if not figures:
        return RowResult(row, "fails", reason=f"printed nothing that matches {row.figure}")
    if row.gpu_part and not has_gpu:
        return RowResult(row, "in part", figures, f"{row.gpu_part}: needs a GPU")
    return RowResult(row, "works", figures)


def run_row(row: Row, folder: Path, seconds: float, has_gpu: bool, run: Runner = run_command) -> RowResult:
    """Run the command of a row in `folder` (pytest: in the repository) and judge it."""
    if row.is_gpu_only and not has_gpu:
        return RowResult(row, "needs a GPU")
    if row.package and not is_installed(row.package):
        return RowResult(row, "not run", reason=f"{row.package} is not installed")
    where = ROOT if row.command.startswith("pytest ") else folder
    return judge_row(row, run(command_words(row.command), where, seconds), has_gpu)


def is_installed(module: str) -> bool:
    """Whether a module can be found; its parent may be there for another package.

    >>> is_installed("json.decoder"), is_installed("json.absent"), is_installed("absent.module")
    (True, False, False)
    """
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _figures(pattern: str, text: str) -> Iterator[str]:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    for match in re.finditer(pattern, plain, re.MULTILINE):
        yield " ".join(match[0].split())
