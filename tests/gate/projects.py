"""Small projects to gate, with an invented clock: a call takes as long as its project says.

The gate reads a benchmark's own timer, so nothing here depends on how fast the machine is.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsuite.gate.gate import gate
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.settings import GateSettings
from perfsuite.judge.gate_report import GateReport, WorkloadGateResult
from perfsuite.judge.verdict import Outcome

# A clock that only work moves. Processes differ and calls scatter a little, as on real machines.
CLOCK = """
import random

rng = random.Random()
PROCESS = 1 + rng.uniform(-0.002, 0.002)
_now = 0.0


def now():
    return _now


def work(seconds):
    global _now
    _now += seconds * PROCESS * (1 + rng.uniform(-0.001, 0.001))
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
    min_turns=2,
    max_side_seconds=0.0,
    idle_wait_seconds=0.0,
    sample_seconds=0.002,
    hang_timeout_seconds=600.0,
)
USER_FILES = {
    "test_a.py": "the user's",
    "only_here.py": "the user's",
    "sub/images/1.jpg": "the user's",
    "__pycache__/test_a.cpython-311.pyc": "the user's",
    "__pycache__/only_here.cpython-311.pyc": "the user's",
}
PYTEST_ARGS = ("-p", "pytest_benchmark.plugin")
# What `uv venv && uv pip install -e .` does, without an index.
MAKE_ENVIRONMENT = """
import subprocess, sys, sysconfig
from pathlib import Path

subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], check=True)
(site,) = Path(".venv/lib").glob("python*/site-packages")
(site / "built.pth").write_text(f"{Path.cwd() / 'src'}\\n{sysconfig.get_path('purelib')}\\n")
"""


def jobs(decode: float = 0.001, resize: float = 0.001) -> str:
    """The source of the toy package's work, in seconds per call."""
    return JOBS.format(decode=decode, resize=resize)


def src_layout(**files: str) -> dict[str, str]:
    """A project with its package under src."""
    return {
        "pyproject.toml": '[project]\nname = "toy"\nversion = "1"\n',
        "src/toy/__init__.py": "",
        "src/toy/clock.py": CLOCK,
        "src/toy/jobs.py": jobs(),
        "benchmarks/test_jobs.py": BENCHMARKS,
        **files,
    }


def flat_layout(**files: str) -> dict[str, str]:
    """A project with its package at the root."""
    return {name.removeprefix("src/"): text for name, text in src_layout(**files).items()}


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

    def git(self, *arguments: str) -> str:
        author = ["-c", "user.name=toy", "-c", "user.email=toy@localhost", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *author, *arguments],  # noqa: S607
            cwd=self.root,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def gate(self, base: str = "HEAD~1", head: str | None = "HEAD", **settings: Any) -> GateReport:
        return gate(quick_settings(base, head, **settings), self.root, "perfsuite gate")


def quick_settings(
    base: str = "HEAD~1", head: str | None = "HEAD", pytest_args: tuple[str, ...] = (), **settings: Any
) -> GateSettings:
    """Few and short pairs, which suffice with an invented clock, and time for a busy machine."""
    quick: dict[str, Any] = {
        "alpha": 0.9,
        "max_pairs": 2,
        "mde": 5.0,  # two pairs have a wide margin
        "null_workloads": 0,
        "schedule": QUICK_SCHEDULE,
        "time_budget_seconds": 3600.0,
        "time_everything": True,  # even what is the same on both sides
    }
    arguments = {**quick, **settings}
    return GateSettings(base=base, head=head, pytest_args=(*PYTEST_ARGS, *pytest_args), **arguments)


def outcomes(report: GateReport) -> dict[str, Outcome]:
    """Outcomes by the test's own name."""
    return {workload.name.rpartition("::")[2]: workload.outcome for workload in report.workloads}


def workload_named(report: GateReport, name: str) -> WorkloadGateResult:
    (workload,) = [workload for workload in report.workloads if workload.name.endswith(name)]
    return workload


def contents(folder: Path) -> dict[str, bytes | str]:
    """Everything in a folder, by relative name."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else "folder"
        for path in folder.rglob("*")
    }
