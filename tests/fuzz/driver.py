"""Fuzz every target in turn until the time is spent: no unexpected error, no hang, no growth of memory.

A finding prints the target and the case's number, which repeat it:

    python -m tests.fuzz --target sockets --seed 7 --case 1234
"""

from __future__ import annotations

import random
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from perfsuite.discovery import discover
from tests.fuzz import targets
from tests.fuzz.target import FindingError, Target

HANG_SECONDS = 60
MAX_GROWTH_BYTES = 256 * 2**20  # over the cases after the first ones, which import and compile
WARM_UP_CASES = 30
TARGETS = {target.name: target for target in discover(targets, "TARGET", Target).values()}


@dataclass(frozen=True, slots=True)
class FuzzFinding:
    """An input that does what no input may do, and how to repeat it."""

    target: str
    seed: int
    case: int
    error: BaseException

    @property
    def command(self) -> str:
        return f"python -m tests.fuzz --target {self.target} --seed {self.seed} --case {self.case}"


class TargetRun:
    """The cases of one target, counted, with the memory before and after them."""

    def __init__(self, target: Target, seed: int, folder: Path) -> None:
        self.target, self.seed, self.folder = target, seed, folder
        self.corpus = target.corpus()
        target.try_one(self.corpus[0], folder)  # imports and compiles, which is no part of a case's time
        self.next_case = 0
        self._rss_after_warm_up = 0

    def input_of(self, case: int) -> bytes:
        """The input of a case, which depends on the seed, the target and the case's number alone."""
        rng = random.Random(f"{self.seed} {self.target.name} {case}")
        return self.target.mutate(rng, rng.choice(self.corpus))

    def run_next(self) -> FuzzFinding | None:
        case, self.next_case = self.next_case, self.next_case + 1
        return self.run_case(case) or self._growth(case)

    def run_case(self, case: int) -> FuzzFinding | None:
        data = self.input_of(case)
        try:
            with time_limit(HANG_SECONDS), warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)  # of numpy: infinities, and what is no number
                self.target.try_one(data, self.folder)
        except Exception as error:
            return FuzzFinding(self.target.name, self.seed, case, error)
        return None

    def _growth(self, case: int) -> FuzzFinding | None:
        rss = psutil.Process().memory_info().rss
        if case <= WARM_UP_CASES:
            self._rss_after_warm_up = rss
        grown = rss - self._rss_after_warm_up
        if grown <= MAX_GROWTH_BYTES:
            return None
        error = FindingError(f"memory grew by {grown >> 20} MiB in {case} cases")
        return FuzzFinding(self.target.name, self.seed, case, error)


def fuzz(
    chosen: Sequence[Target], seed: int, seconds: float, max_cases: int | None = None
) -> tuple[dict[str, int], list[FuzzFinding]]:
    """The number of cases of each target, and the first finding of each."""
    findings: list[FuzzFinding] = []
    with tempfile.TemporaryDirectory(prefix="perfsuite-fuzz-") as root:
        runs = [TargetRun(target, seed, _folder(Path(root), target.name)) for target in chosen]
        living, end = list(runs), time.monotonic() + seconds
        while living and time.monotonic() < end:
            for run in list(living):
                finding = run.run_next()
                if finding is not None:
                    findings.append(finding)
                if finding is not None or run.next_case == max_cases:
                    living.remove(run)
    return {run.target.name: run.next_case for run in runs}, findings


def repeat(target: Target, seed: int, case: int) -> FuzzFinding | None:
    """One case again."""
    with tempfile.TemporaryDirectory(prefix="perfsuite-fuzz-") as root:
        return TargetRun(target, seed, _folder(Path(root), target.name)).run_case(case)


def _folder(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    return folder


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """FindingError where a block takes longer."""

    def end(number: int, frame: FrameType | None) -> None:
        raise FindingError(f"no end after {seconds} s")

    previous = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
