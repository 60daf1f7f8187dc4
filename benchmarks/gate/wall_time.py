"""How long whole gates take as users type them: quick, compiled and separately prepared suites.

    python -m benchmarks.gate.wall_time                      # every case once
    python -m benchmarks.gate.wall_time --case compiled --gates 3

Each case makes a repository of two commits, runs `perfsuite gate` in it and appends a line to
docs/results/gate/wall-time.jsonl, from which `validation.py tables` makes a table.

quick            100 benchmarks of microseconds, nothing changed, all timed
quick-same-code  the same, where benchmarks that run the same code are not timed
compiled         20 models under torch.compile, each compiled anew, one of them 5 % slower
compiled-all-timed  the same, where a function that all of them run was changed too
prepared         an environment for each side, with an import of three seconds
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gate.replay import Record
from benchmarks.gate.validation import append_record, git
from perfsuite.judge.gate_report import GateReport
from perfsuite.report.gate_file import parse_gate_report

RECORDING = "wall-time.jsonl"

# One workload of a dozen microseconds for each parameter.
QUICK_SUITE = """
import pytest
from project import total

@pytest.mark.parametrize("number", range(100))
def test_quick(benchmark, number):
    benchmark(total, 500 + number)
"""
QUICK_PROJECT = "def total(number):\n    return sum(i * i for i in range(number))\n"

COMPILED_SUITE = """
import pytest
import torch
from project import MODELS

@pytest.mark.parametrize("number", range(20))
def test_compiled(benchmark, number):
    torch.manual_seed(0)
    layers = MODELS[number]()
    model = torch.compile(layers)
    with torch.no_grad():
        inputs = torch.rand(64, layers[0].in_features)
        model(inputs)
        benchmark(model, inputs)
"""
COMPILED_LAYERS = """
from torch import nn

def make_model(width):
    return nn.Sequential(*(layer for _ in range({layers}) for layer in (nn.Linear(width, width), nn.ReLU())))
"""


def compiled_project(changed_width: int = 240, layers: str = "6") -> dict[str, str]:
    """Twenty models of growing width, each made by a function of its own."""
    widths = [192 + 4 * number for number in range(20)]
    widths[12] = changed_width
    functions = [f"def model_{n}():\n    return make_model({width})\n" for n, width in enumerate(widths)]
    names = ", ".join(f"model_{number}" for number in range(20))
    models = "\n\n".join(["from layers import make_model\n", *functions, f"MODELS = [{names}]\n"])
    return {"project.py": models, "layers.py": COMPILED_LAYERS.format(layers=layers)}


SLOW_IMPORT = """
import time
end = time.process_time() + 3.0
while time.process_time() < end:
    pass
"""


@dataclass(frozen=True, slots=True)
class Case:
    """The files of both commits by name, and the options of the gate."""

    files: dict[str, str]
    changes: dict[str, str]  # what the second commit changes
    options: tuple[str, ...] = ()


def _same_code_case(*options: str) -> Case:
    files = {"project.py": QUICK_PROJECT, "benchmarks/test_quick.py": QUICK_SUITE}
    return Case(files, {"README.md": "A second line.\n"}, options)


def _prepared_case() -> Case:
    files = {
        "project.py": "import heavy\n" + QUICK_PROJECT,
        "heavy.py": SLOW_IMPORT,
        "benchmarks/test_quick.py": QUICK_SUITE.replace("range(100)", "range(4)"),
    }
    uv = f"{sys.executable} -m uv"
    environment = ("--prepare", f"{uv} venv -q .venv")
    packages = ("--prepare", f"{uv} pip install -q --python .venv pytest pytest-benchmark")
    return Case(files, {"README.md": "A second line.\n"}, (*environment, *packages, "--time-everything"))


def _compiled_case(changes: dict[str, str]) -> Case:
    return Case({**compiled_project(), "benchmarks/test_compiled.py": COMPILED_SUITE}, changes)


CASES = {
    "quick": _same_code_case("--time-everything"),
    "quick-same-code": _same_code_case(),
    "compiled": _compiled_case(compiled_project(changed_width=246)),  # 5 % more arithmetic
    "compiled-all-timed": _compiled_case(compiled_project(changed_width=246, layers="3 + 3")),
    "prepared": _prepared_case(),
}


def run_gate(case: Case) -> Record:
    """Run the gate of a case as a command: its duration, its exit code and its outcomes."""
    with tempfile.TemporaryDirectory(prefix="perfsuite-wall-time-") as folder:
        project = Path(folder) / "project"
        make_repository(case, project)
        done = run_command(project, "HEAD", *case.options, "benchmarks")
    return {
        "seconds": round(done.seconds, 1),
        "exit": done.exit_code,
        "pairs": done.report.pairs,
        "timed": sum(bool(workload.log_ratios) for workload in done.report.workloads),
        "outcomes": done.outcomes,
    }


@dataclass(frozen=True, slots=True)
class FinishedGate:
    report: GateReport
    seconds: float  # of the whole command
    exit_code: int

    @property
    def outcomes(self) -> dict[str, int]:
        return {outcome.value: count for outcome, count in self.report.outcome_counts.items()}


def run_command(project: Path, commit: str, *arguments: str) -> FinishedGate:
    """Run `perfsuite gate` on a commit and its parent."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "perfsuite", "gate", "--base", f"{commit}~1", "--head", commit),
            *("--report", folder, *arguments),
        ]
        begin = time.perf_counter()
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - begin
        file = Path(folder, "gate.json")
        if not file.exists():
            raise SystemExit(f"{commit}: the gate ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return FinishedGate(parse_gate_report(file.read_bytes(), str(file)), seconds, done.returncode)


def in_words(outcomes: Mapping[str, int]) -> str:
    """
    >>> in_words({"regressed": 1, "kept": 19})
    '1 regressed, 19 kept'
    """
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


def make_repository(case: Case, project: Path) -> None:
    """Commit the files of the case, then its changes."""
    project.mkdir()
    git(project, "init", "--quiet")
    for files, subject in ((case.files, "base"), (case.changes, "head")):
        for name, text in files.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(project, "add", "--all")
        git(project, "commit", "--quiet", "--message", subject)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, action="append", help="this one only; may be repeated")
    parser.add_argument("--gates", type=int, default=1, help="of each case (1)")
    arguments = parser.parse_args()
    for name in arguments.case or CASES:
        for _ in range(arguments.gates):
            line = {"case": name, **run_gate(CASES[name])}
            append_record(RECORDING, line)
            print(
                f"{name}: {line['seconds']} s, exit code {line['exit']}, {in_words(line['outcomes'])}",
                flush=True,
            )


if __name__ == "__main__":
    main()
