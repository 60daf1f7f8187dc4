"""The core installs from a wheel into an empty environment and gates a plain pytest-benchmark suite there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_MEGABYTES = 200
SLOW = "def work():\n    return sum(range(40_000))\n"
FAST = "def work():\n    return sum(range(20_000))\n"
SUITE = """
import pytest
import toy


@pytest.mark.floor(calls_per_second=1)
def test_work(benchmark):
    benchmark(toy.work)
"""


@dataclass(frozen=True)
class Installation:
    """An environment that holds the wheel, its dependencies and nothing else."""

    folder: Path
    seconds: float
    megabytes: float

    def run(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment["PATH"] = f"{self.folder / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
        return subprocess.run(
            [str(self.folder / "bin" / words[0]), *words[1:]],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    uv = shutil.which(
        "uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    )
    if uv is None:
        pytest.skip("uv is not installed")
    place = tmp_path_factory.mktemp("wheel")
    environment = place / "environment"
    run_or_skip([uv, "build", "--quiet", "--wheel", "--out-dir", str(place), str(ROOT)])
    wheel = next(place.glob("*.whl"))
    run_or_skip([uv, "venv", "--quiet", "--python", sys.executable, str(environment)])
    begin = time.monotonic()
    run_or_skip(
        [uv, "pip", "install", "--quiet", "--python", str(environment / "bin" / "python"), str(wheel)]
    )
    seconds = time.monotonic() - begin
    size = sum(
        path.lstat().st_size for path in environment.rglob("*") if path.is_file() and not path.is_symlink()
    )
    return Installation(environment, seconds, size / 1e6)


def run_or_skip(command: Sequence[str]) -> None:
    """Skip where packages cannot be downloaded; every other failure is one."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode and any(sign in done.stderr.lower() for sign in ("dns error", "connect", "timed out")):
        pytest.skip("no package registry can be reached")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository of three commits that uses nothing of ours but a marker; only the last does more work."""
    (tmp_path / "test_toy.py").write_text(SUITE)
    for source, text in ((FAST, "one"), (FAST, "two"), (SLOW, "two")):
        (tmp_path / "toy.py").write_text(source)
        (tmp_path / "README.md").write_text(text)
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "change")):
            subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)  # noqa: S607
    return tmp_path


def test_it_is_small(installation: Installation) -> None:
    print(f"installed in {installation.seconds:.1f} s, {installation.megabytes:.0f} MB")  # noqa: T201
    assert installation.megabytes < MAX_MEGABYTES


def test_nothing_heavy_comes_with_it(installation: Installation, tmp_path: Path) -> None:
    heavy = ("torch", "cv2", "scipy", "albumentations")
    code = f"import importlib.util as i; print([n for n in {heavy} if i.find_spec(n)])"
    assert installation.run("python", "-c", code, cwd=tmp_path).stdout.strip() == "[]"


def test_its_files_are_in_the_wheel(installation: Installation) -> None:
    package = next(installation.folder.glob("lib/python*/site-packages/perfsuite"))
    missing = [
        path.relative_to(ROOT)
        for path in (ROOT / "perfsuite").rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and not (package / path.relative_to(ROOT / "perfsuite")).exists()
    ]
    assert missing == []


def test_help_and_a_command_that_needs_an_extra(installation: Installation, tmp_path: Path) -> None:
    assert "gate" in installation.run("perfsuite", "--help", cwd=tmp_path).stdout
    train = installation.run("perfsuite", "train", "--epochs", "1", cwd=tmp_path)
    assert train.returncode == 2
    assert "perfsuite[vision]" in train.stderr
    assert "Traceback" not in train.stderr


def test_limits_are_judged_and_runs_are_saved_and_compared(installation: Installation, project: Path) -> None:
    bench = ("pytest", "-q", "--perf-max-time=1", "--benchmark-max-time=0.2")
    for name in ("one", "two"):
        done = installation.run(*bench, f"--perf-save={name}", cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "kept" in done.stdout
    compared = installation.run("perfsuite", "compare", "one", "two", cwd=project)
    assert compared.returncode in (0, 10), compared.stderr  # two runs are too few to be certain
    (project / "test_toy.py").write_text(SUITE.replace("calls_per_second=1", "calls_per_second=1e9"))
    broken = installation.run(*bench, cwd=project)
    assert broken.returncode == 1
    assert "broken" in broken.stdout


def test_a_gate_finds_doubled_work(installation: Installation, project: Path) -> None:
    words = ("perfsuite", "gate", "--base", "HEAD~1", "--head", "HEAD", "--time-budget", "4m")
    done = installation.run(*words, cwd=project)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "regressed" in done.stdout


def test_a_gate_of_equal_commits_reports_no_regression(installation: Installation, project: Path) -> None:
    """The negative control."""
    words = ("perfsuite", "gate", "--base", "HEAD~2", "--head", "HEAD~1", "--time-budget", "30s")
    assert installation.run(*words, cwd=project).returncode in (0, 10, 11)
