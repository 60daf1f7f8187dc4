"""Sides with an environment of their own, and packages that do not come from their side."""

from __future__ import annotations

import sys

import pytest

from perfsuite.errors import UsageError
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import Project, jobs, src_layout

# What `uv venv && uv pip install -e .` does, without an index.
BUILD = """
import subprocess, sys, sysconfig
from pathlib import Path

subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], check=True)
(site,) = Path(".venv/lib").glob("python*/site-packages")
(site / "built.pth").write_text(f"{Path.cwd() / 'src'}\\n{sysconfig.get_path('purelib')}\\n")
"""
CHECKS_ENVIRONMENT = """
import os
import sys
from pathlib import Path

import pytest
from toy import clock, jobs


@pytest.mark.benchmark(timer=clock.now)
def test_decode(benchmark):
    side = Path(os.environ["PERFSUITE_GATE_ROOT"])
    assert Path(sys.prefix).resolve() == (side / ".venv").resolve()
    assert Path(jobs.__file__).is_relative_to(side)
    benchmark(jobs.decode)
"""


def test_each_side_runs_in_the_environment_that_its_preparation_built(project: Project) -> None:
    project.commit(src_layout(**{"benchmarks/test_jobs.py": CHECKS_ENVIRONMENT, "build.py": BUILD}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    (workload,) = project.gate(prepare=(f"{sys.executable} build.py",)).workloads
    assert workload.outcome is Outcome.REGRESSED, workload.worst.reason
    assert not (project.root / ".venv").exists()


def test_a_package_imported_from_elsewhere_is_refused(project: Project) -> None:
    """As an editable install with an import hook would import it."""
    hook = f"import sys\n\nsys.path.insert(0, {str(project.root / 'src')!r})\n"
    project.commit(src_layout(**{"conftest.py": hook}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    with pytest.raises(UsageError, match=r"toy is imported from .*--prepare"):
        project.gate()
