"""The code blocks and commands of the README run as they stand, in a project that has nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from perfsuite.data.synthetic import dataset
from perfsuite.errors import ExitCode
from tests.gate.projects import Project

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
CHANGE = r'for word in re.findall(r"\w+", text):'


def write_project(root: Path) -> None:
    """Write the blocks that begin with the name of their file."""
    for block in BLOCKS:
        if name := re.match(r"# (\S+\.py)\n", block):
            path = root / name[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block)


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    assert " ".join(command).replace(f"{sys.executable} -m ", "") in README, "the README has this command"
    return subprocess.run(
        [sys.executable, *command[1:]], cwd=root, capture_output=True, text=True, check=False
    )


def test_the_function_of_the_readme_is_measured_and_judged(tmp_path: Path) -> None:
    write_project(tmp_path)
    done = run(tmp_path, sys.executable, "-m", "pytest", "benchmarks")
    assert done.returncode == 0, done.stdout
    assert re.search(r"count words +[\d,]+ words/s +[\d.]+% +≥ 100,000/s +kept", done.stdout)


@pytest.mark.slow
def test_the_change_of_the_readme_is_found(tmp_path: Path) -> None:
    assert CHANGE in README
    write_project(tmp_path)
    Project(tmp_path).commit({}, "Count words")
    words = tmp_path / "words.py"
    source = words.read_text().replace("for word in text.split():", CHANGE)
    words.write_text(f"import re\n\n{source}")
    done = run(tmp_path, sys.executable, "-m", "perfsuite", "gate", "--base", "HEAD")
    assert done.returncode == ExitCode.REGRESSED, done.stdout + done.stderr


def test_the_vision_benchmark_of_the_readme_runs(pytester: pytest.Pytester, tmp_path: Path) -> None:
    (source,) = (block for block in BLOCKS if "perfsuite.data" in block)
    pytester.makepyfile(test_mine=source)
    images = dataset.make_dataset(tmp_path / "images", images=24, classes=2, size=(96, 64))
    # Each workload is called once and not timed: its limits are for an idle machine.
    outcome = pytester.runpytest_subprocess("--benchmark-disable", f"--perf-images={images}")
    outcome.assert_outcomes(passed=2)
    assert "error" not in outcome.stdout.str().lower()
