"""`pytest --perf-repeat N`: N runs in fresh processes, in turns with another commit where one is named."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from perfsuite.errors import UsageError, redact_url
from perfsuite.gate.checkout import temporary_checkout
from perfsuite.judge.run_labels import fewest_runs_of_each_side
from perfsuite.pytest_plugin.options import SERIES_VARIABLE, PerfOptions
from perfsuite.report.publish import printable
from perfsuite.report.text import escape_control_characters
from perfsuite.signals import sigterm_as_keyboard_interrupt, started
from perfsuite.store import DEFAULT_RUNS
from perfsuite.store.runs import RunStore
from perfsuite.store.schema import validate_name

MAX_RUNS = 1_000
DEFAULT_ALPHA = 0.01  # of `perfsuite compare`
_END_SECONDS = (5.0, 30.0)  # what an interrupted run gets to end: by the terminal's Ctrl-C, then by SIGTERM
_SHOWN_LINES = 40  # of a failed run's output
_MEASURED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
_OPTIONS = ("--perf-repeat", "--perf-repeat-against")

Write = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SeriesSide:
    """One side of a series: how each of its runs is started, and the name that the runs are stored under."""

    name: str
    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """The end of one run: its exit status, and what it wrote."""

    status: int
    output: str

    @property
    def summary(self) -> str:
        """The last line of pytest's output, such as `3 passed in 2.11s`."""
        lines = [line.strip("= ") for line in self.output.splitlines() if line.strip("= ")]
        return lines[-1] if lines else "no output"


StartRun = Callable[[SeriesSide], FinishedRun]


def run_from_config(config: pytest.Config, options: PerfOptions) -> int:
    """Take the series that the command line asks for; return pytest's exit code."""
    runs, against = config.getoption("perf_repeat"), config.getoption("perf_repeat_against")
    _check_options(config, options, runs, against)
    head_name = validate_name(options.run_name or ("head" if against else "run"))
    arguments = without_series_options(config.invocation_params.args)
    identity = secrets.token_hex(6)
    here = config.invocation_params.dir
    with ExitStack() as stack:
        stack.enter_context(sigterm_as_keyboard_interrupt())
        sides = [_side(head_name, arguments, options.store, here, {**os.environ, SERIES_VARIABLE: identity})]
        if against:
            checkout = stack.enter_context(temporary_checkout(here, against))
            name = name_of_revision(against, other=head_name)
            moved = [checkout.path_in_checkout(each) for each in arguments]
            environment = {**checkout.environment, SERIES_VARIABLE: identity}
            sides.insert(0, _side(name, moved, options.store, checkout.folder(here), environment))
        return take_series(sides, runs, RunStore(options.store), run_pytest, _print)


def take_series(
    sides: Sequence[SeriesSide], runs: int, store: RunStore, start: StartRun, write: Write
) -> int:
    """Take `runs` runs of each side; return pytest's exit code: 1 where a test failed in any run.

    A run that stored nothing ends the series: the next one would store nothing either.
    """
    total, began, worst = runs * len(sides), time.monotonic(), 0
    write(_announcement(sides, runs))
    for number, side in enumerate(order_of_runs(sides, runs), 1):
        try:
            run, is_stored = _take_run(side, store, start)
        except KeyboardInterrupt:
            write(f"interrupted: {number - 1} of {total} runs are stored")
            return int(pytest.ExitCode.INTERRUPTED)
        write(f"run {number} of {total}, {side.name}: {run.summary}{_time_left(began, number, total)}")
        is_usable = is_stored and run.status in _MEASURED
        if not is_usable or (run.status and not worst):  # of failed tests, once
            write("\n".join(run.output.splitlines()[-_SHOWN_LINES:]))
        if not is_usable:
            stored = "a run was stored" if is_stored else "nothing was stored"
            write(
                f"{side.name}: exit status {run.status}, {stored}, expected a whole run; see its output above"
            )
            return run.status or int(pytest.ExitCode.NO_TESTS_COLLECTED)
        worst = max(worst, run.status)
    write(_next_step(sides, runs, store.root))
    return worst


def _take_run(side: SeriesSide, store: RunStore, start: StartRun) -> tuple[FinishedRun, bool]:
    """One run, and whether it was stored."""
    before = set(store.list())
    run = start(side)
    return run, any(each.partition("_")[2].startswith(side.name) for each in set(store.list()) - before)


def _time_left(began: float, number: int, total: int) -> str:
    seconds = (time.monotonic() - began) / number * (total - number)
    return f"; {seconds:.0f} s left" if seconds > 2 else ""


def order_of_runs(sides: Sequence[SeriesSide], runs: int) -> Iterator[SeriesSide]:
    """The sides in turns, A B B A: what drifts steadily then weighs on both alike."""
    for turn in range(runs):
        yield from sides if turn % 2 == 0 else reversed(sides)


def without_series_options(arguments: Sequence[str]) -> list[str]:
    """The arguments of one run.

    >>> without_series_options(["benchmarks", "--perf-repeat", "5", "--perf-repeat-against=main", "-q"])
    ['benchmarks', '-q']
    """
    remaining, is_value = [], False
    for argument in map(str, arguments):
        if is_value:
            is_value = False
        elif argument in _OPTIONS:
            is_value = True
        elif not argument.startswith(tuple(f"{option}=" for option in _OPTIONS)):
            remaining.append(argument)
    return remaining


def name_of_revision(revision: str, other: str) -> str:
    """A name for the runs of a revision, different from `other`.

    >>> name_of_revision("origin/main", "head"), name_of_revision("HEAD", "head")
    ('origin-main', 'HEAD-base')
    """
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", revision).strip("-._+")[:80]
    if not name or name.isdigit():
        name = f"rev-{name}".strip("-")
    return f"{name}-base" if name.casefold() == other.casefold() else name


def run_pytest(side: SeriesSide) -> FinishedRun:
    """One run in a fresh process. An interrupt gives the process time to store what it has."""
    with tempfile.TemporaryFile() as log:

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                side.command,
                cwd=side.folder,
                env=dict(side.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

        with started(start, _end) as process:
            status = process.wait()
        log.seek(0)
        return FinishedRun(status, log.read().decode(errors="replace"))


def _end(process: subprocess.Popen[bytes]) -> None:
    by_terminal, by_signal = _END_SECONDS
    for number, seconds in ((None, by_terminal), (signal.SIGTERM, by_signal), (signal.SIGKILL, by_signal)):
        if number is not None:
            process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return


def _side(
    name: str, arguments: Sequence[str], store: str, folder: Path, environment: Mapping[str, str]
) -> SeriesSide:
    own = (f"--perf-save={name}", f"--perf-store={store}")
    return SeriesSide(name, (sys.executable, "-m", "pytest", *arguments, *own), folder, environment)


def _check_options(
    config: pytest.Config, options: PerfOptions, runs: int | None, against: str | None
) -> None:
    if runs is None:
        raise UsageError(
            f"--perf-repeat-against {against}: no number of runs, expected --perf-repeat N as well"
        )
    if not 1 <= runs <= MAX_RUNS:
        raise UsageError(f"--perf-repeat: {runs}, expected 1 to {MAX_RUNS} runs")
    if not options.saves_runs:
        raise UsageError("--perf-repeat: --perf-no-save is set, expected runs to be stored; leave it out")
    if config.getoption("numprocesses", None):
        raise UsageError("--perf-repeat: pytest-xdist is on (-n), and disables benchmarks; add -n 0")


def _announcement(sides: Sequence[SeriesSide], runs: int) -> str:
    names = " and ".join(side.name for side in sides)
    each = " of each side, in turns" if len(sides) > 1 else ""
    few = ""
    fewest = fewest_runs_of_each_side(DEFAULT_ALPHA)
    if runs < fewest:
        few = f"; a verdict at a chance of error of {DEFAULT_ALPHA:.0%} needs {fewest}"
    return f"{runs} run{'s' * (runs > 1)}{each}, each in a fresh process: {names}{few}"


def _next_step(sides: Sequence[SeriesSide], runs: int, store: str) -> str:
    names = [side.name for side in sides]
    command = ["perfsuite", *(("compare", *names) if len(names) > 1 else ("baseline", "accept", *names))]
    if Path(store) != Path.cwd() / DEFAULT_RUNS:
        command += ["--store", store]
    what = "compare them" if len(names) > 1 else "accept them as a baseline"
    stored = " and ".join(f"{runs} of {name}" for name in names)
    return f"stored: {stored}; {what} with\n  {shlex.join(command)}"


def _print(text: str) -> None:
    shown = "\n".join(escape_control_characters(line) for line in redact_url(text).split("\n"))
    sys.stdout.write(printable(f"perfsuite: {shown}\n", os.environ))
    sys.stdout.flush()
