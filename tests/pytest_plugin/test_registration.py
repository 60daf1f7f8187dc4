"""The plugin is registered once, by its entry point, by name, or by both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TEST = "def test_it(perf):\n    perf(lambda: sum([1]))\n"
QUICK = ["--perf-no-save", "--perf-time-only", "--benchmark-max-time=0.01", "-p", "no:cacheprovider"]


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(TEST)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", *QUICK, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "options",
    [[], ["-p", "perfsuite.pytest_plugin"], ["-p", "perfsuite"]],
    ids=["entry point", "both", "name"],
)
def test_the_plugin_is_registered_once(options: list[str], tmp_path: Path) -> None:
    done = run(tmp_path, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "perfsuite" in done.stdout


def test_the_plugin_can_be_switched_off(tmp_path: Path) -> None:
    """The negative control."""
    done = run(tmp_path, "-p", "no:perfsuite")
    assert done.returncode != 0
    assert "--perf-no-save" in done.stderr
