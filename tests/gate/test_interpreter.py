"""Which interpreter runs the gated project."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate.git import Repository
from perfsuite.gate.interpreter import project_interpreter
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import Project, jobs, src_layout

# Fails unless it runs in the project's environment, whose perfsuite cannot be imported.
CHECKS_ENVIRONMENT = """
import os
import sys
from pathlib import Path

import pytest
from toy import clock, jobs


@pytest.mark.benchmark(timer=clock.now)
def test_decode(benchmark):
    assert Path(sys.prefix).resolve() == Path(os.environ["EXPECTED_PREFIX"]).resolve()
    assert not any(Path(entry, "perfsuite").is_dir() for entry in sys.path)
    assert Path(jobs.__file__).is_relative_to(os.environ["PERFSUITE_GATE_ROOT"])
    benchmark(jobs.decode)
"""


def make_venv(folder: Path, with_pytest: bool = True) -> Path:
    """An environment that has this one's pytest, but not its editable perfsuite; returns its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    if with_pytest:
        (site_packages,) = folder.glob("lib/python*/site-packages")
        (site_packages / "packages.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "bin" / "python"


@pytest.fixture
def slower(project: Project) -> Project:
    files = src_layout(**{"benchmarks/test_jobs.py": CHECKS_ENVIRONMENT, ".gitignore": ".venv\n"})
    project.commit(files)
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    return project


def test_a_project_with_its_own_venv_is_gated_in_it(slower: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    make_venv(slower.root / ".venv")
    monkeypatch.setenv("EXPECTED_PREFIX", str(slower.root / ".venv"))
    (workload,) = slower.gate().workloads
    assert workload.outcome is Outcome.REGRESSED, workload.worst.reason
    assert workload.counters, "the gate's own perfsuite counts there"


def test_a_named_interpreter_comes_before_the_projects_venv(
    slower: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_venv(slower.root / ".venv", with_pytest=False)
    python = make_venv(tmp_path / "other")
    monkeypatch.setenv("EXPECTED_PREFIX", str(tmp_path / "other"))
    (workload,) = slower.gate(python=str(python)).workloads
    assert workload.outcome is Outcome.REGRESSED, workload.worst.reason


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A project in a subfolder of a repository."""
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    Project(tmp_path).write({"service/pyproject.toml": "", "service/benchmarks/test_a.py": ""})
    return Repository(tmp_path, tmp_path / ".git", Path("service"))


def fake_venv(folder: Path) -> str:
    """An environment whose interpreter is this one, by another path."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_without_any_environment_the_gates_own_is_used(repository: Repository) -> None:
    assert project_interpreter(None, repository) == sys.executable


@pytest.mark.parametrize("subfolder", ["service", "service/benchmarks"])
def test_the_venv_is_found_beside_the_nearest_pyproject(repository: Repository, subfolder: str) -> None:
    python = fake_venv(repository.root / "service" / ".venv")
    here = Repository(repository.root, repository.git_directory, Path(subfolder))
    assert project_interpreter(None, here) == python


def test_the_active_environment_is_used_where_the_project_has_none(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = fake_venv(tmp_path / "active")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "active"))
    assert project_interpreter(None, repository) == python
    project_python = fake_venv(repository.project_root / ".venv")
    assert project_interpreter(None, repository) == project_python


def test_a_link_to_the_gates_own_environment_counts_as_its_own(repository: Repository) -> None:
    (repository.project_root / ".venv").symlink_to(sys.prefix)
    assert project_interpreter(None, repository) == sys.executable


def test_a_named_interpreter_must_exist(repository: Repository) -> None:
    with pytest.raises(UsageError, match=r"--python nowhere/python: not an executable file"):
        project_interpreter("nowhere/python", repository)


def test_an_interpreter_without_pytest_is_refused_with_a_remedy(
    repository: Repository, tmp_path: Path
) -> None:
    python = make_venv(tmp_path / "bare", with_pytest=False)
    with pytest.raises(UsageError, match=r"cannot import pytest.*--python"):
        project_interpreter(os.fspath(python), repository)
