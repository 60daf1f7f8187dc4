"""Foreign projects of a few lines, whose clock is invented: a call takes as long as its project says.

The gate reads a benchmark's own timer, so nothing here depends on how fast the machine is.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perfsuite.gate.gate import gate
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.settings import GateSettings
from perfsuite.judge.reports import GateReport, WorkloadGateResult
from perfsuite.judge.verdict import Outcome

# A clock that only work moves; every process has some luck of its own, as real ones do.
CLOCK = """
import random

luck = random.Random()
PROCESS = 1 + luck.uniform(-0.002, 0.002)
_now = 0.0


def now():
    return _now


def work(seconds):
    global _now
    _now += seconds * PROCESS * (1 + luck.uniform(-0.001, 0.001))
"""
BENCHMARKS = """
import pytest
from toy import clock, jobs

pytestmark = pytest.mark.benchmark(timer=clock.now)


def test_decode(benchmark):
    assert benchmark(jobs.decode) == "decoded"


def test_resize(benchmark):
    benchmark(jobs.resize, 2)
"""
JOBS = """
from toy.clock import work


def decode():
    work({decode})
    return "decoded"


def resize(factor):
    work({resize} * factor)
"""
QUICK_SCHEDULE = TurnSchedule(
    turn_seconds=0.004,
    fewest_turns=2,
    side_seconds=0.0,
    rest_seconds=0.0,
    sample_seconds=0.002,
    patience_seconds=600.0,
)
PYTEST_ARGS = ("-p", "pytest_benchmark.plugin")


def jobs(decode: float = 0.001, resize: float = 0.001) -> str:
    return JOBS.format(decode=decode, resize=resize)


def src_layout(**more: str) -> dict[str, str]:
    """A project with its package under src."""
    return {
        "pyproject.toml": '[project]\nname = "toy"\nversion = "1"\n',
        "src/toy/__init__.py": "",
        "src/toy/clock.py": CLOCK,
        "src/toy/jobs.py": jobs(),
        "benchmarks/test_jobs.py": BENCHMARKS,
        **more,
    }


def flat_layout(**more: str) -> dict[str, str]:
    """A project with its package at the root."""
    return {name.removeprefix("src/"): text for name, text in src_layout(**more).items()}


@dataclass(frozen=True, slots=True)
class Project:
    """A git repository in a temporary folder."""

    root: Path

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, files: Mapping[str, str], subject: str = "change") -> str:
        if not (self.root / ".git").exists():
            self.git("init", "--quiet", "--initial-branch=main")
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=toy", "-c", "user.email=toy@localhost", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *who, *words],  # noqa: S607
            cwd=self.root,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def gate(self, base: str = "HEAD~1", head: str | None = "HEAD", **more: object) -> GateReport:
        return gate(quick_settings(base, head, **more), self.root, "perfsuite gate")


def quick_settings(base: str = "HEAD~1", head: str | None = "HEAD", **more: object) -> GateSettings:
    """Few and short pairs: with an invented clock they say as much as many; the machine may take long."""
    words = {
        "alpha": 0.9,
        "max_pairs": 2,
        "sentinels": 0,
        "pace": QUICK_SCHEDULE,
        "time_budget_seconds": 3600.0,
        **more,
    }
    words["pytest_words"] = (*PYTEST_ARGS, *words.get("pytest_words", ()))  # type: ignore[misc]
    return GateSettings(base=base, head=head, **words)  # type: ignore[arg-type]


def outcomes(report: GateReport) -> dict[str, Outcome]:
    """By the test's own name."""
    return {found.name.rpartition("::")[2]: found.outcome for found in report.workloads}


def workload_named(report: GateReport, name: str) -> WorkloadGateResult:
    (found,) = [each for each in report.workloads if each.name.endswith(name)]
    return found
