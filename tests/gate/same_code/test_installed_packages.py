"""Environments inside the worktrees: what both sides have installed is not the project."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from perfsuite.gate.agent.recording.project_files import ProjectFiles
from tests.gate.projects import MAKE_ENVIRONMENT, Project
from tests.gate.same_code.test_prover import prove

# A package that reads code objects, as pytest does, in a version that the checkout names.
BUILD = (
    MAKE_ENVIRONMENT
    + """
settings = Path(".venv/pyvenv.cfg")
settings.write_text(f"{settings.read_text()}prompt = {Path.cwd().name}\\n")
version = Path("version.txt").read_text().strip()
(site / "library.py").write_text(f"def name(call):\\n    return call.__code__.co_name, {version}\\n")
"""
)
FILES = {
    "build.py": BUILD,
    "version.txt": "1",
    "toy/__init__.py": "",
    "toy/jobs.py": "def decode():\n    return 1\n\n\ndef resize():\n    return 1\n",
    "benchmarks/test_jobs.py": """
import library
from toy import jobs


def test_decode(benchmark):
    benchmark(library.name, jobs.decode)


def test_resize(benchmark):
    benchmark(jobs.resize)
""",
}
TESTS = ["test_jobs.py::test_decode", "test_jobs.py::test_resize"]
PREPARE = (f"{sys.executable} build.py",)


def test_packages_that_both_sides_have_installed_are_not_the_projects_code(project: Project) -> None:
    project.commit(FILES)
    project.commit(
        {"toy/jobs.py": FILES["toy/jobs.py"].replace("resize():\n    return 1", "resize():\n    return 2")}
    )
    proven, reasons = prove(project, TESTS, prepare=PREPARE)
    assert proven == {"decode"}
    assert reasons == {"resize": "toy/jobs.py: resize differs"}


def test_another_version_of_an_installed_package_is_a_difference(project: Project) -> None:
    project.commit(FILES)
    project.commit({"version.txt": "2"})
    proven, reasons = prove(project, TESTS, prepare=PREPARE)
    assert proven == {"resize"}
    assert "library.py: name differs" in reasons["decode"]


@pytest.mark.parametrize(
    ("differing", "is_own"),
    [
        ([], False),
        (["src/toy/jobs.py", ".venv/bin/activate_this.py", ".venv/lib/library/data.json"], False),
        ([".venv/lib/other/__init__.py"], True),
        ([".venv/lib/other/fast.so"], True),
        ([".venv/lib/other.pth"], True),
        ([".venv/pyvenv.cfg"], True),
    ],
)
def test_installed_code_is_followed_where_any_of_it_differs(
    differing: list[str], is_own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    files = ProjectFiles(str(tmp_path), differing)
    assert bool(files.own_name(tmp_path / ".venv/lib/library/__init__.py")) is is_own
    assert files.own_name(tmp_path / "src/toy/jobs.py") == "src/toy/jobs.py"


def test_a_script_of_the_environment_that_differs_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    script = ".venv/bin/activate_this.py"
    assert ProjectFiles(str(tmp_path), [script]).own_name(tmp_path / script) == script
