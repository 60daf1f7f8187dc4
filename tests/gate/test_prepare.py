"""Sides with an environment of their own, and packages that do not come from their side."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import BENCHMARKS, MAKE_ENVIRONMENT, Project, jobs, outcomes, src_layout

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
    project.commit(
        src_layout(**{"benchmarks/test_jobs.py": CHECKS_ENVIRONMENT, "build.py": MAKE_ENVIRONMENT})
    )
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


def test_an_installed_copy_of_what_changed_is_refused_wherever_the_project_keeps_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site" / "toy"
    installed.mkdir(parents=True)
    files = {
        name.replace("src/", "engine/lib/"): text
        for name, text in src_layout().items()
        if name != "pyproject.toml"
    }
    for name, text in files.items():
        if "toy/" in name:
            (installed / Path(name).name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(installed.parent))
    project.commit(files)
    project.commit({"README": "of no package"})
    assert outcomes(project.gate())["test_decode"] is Outcome.KEPT
    project.commit({"engine/lib/toy/jobs.py": jobs(decode=0.0012)})
    with pytest.raises(UsageError, match=r"toy is imported from .*site/toy.*--prepare"):
        project.gate()


def test_a_package_imported_from_elsewhere_in_a_later_process_is_refused(project: Project) -> None:
    hook = f"""
import os
import sys
from pathlib import Path

collected = Path(os.environ["TMPDIR"], os.environ["PERFSUITE_GATE_SIDE"])
if collected.exists():
    sys.path.insert(0, {str(project.root / "src")!r})
collected.touch()
"""
    project.commit(src_layout(**{"conftest.py": hook}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    with pytest.raises(UsageError, match=r"toy is imported from .*--prepare"):
        project.gate()


@pytest.mark.parametrize(("changed", "is_refused"), [("0.0012", True), ("0.001", False)])
def test_a_neighboring_package_of_the_users_checkout_is_refused_where_it_differs(
    project: Project, changed: str, is_refused: bool
) -> None:
    """As an editable install of another package of the repository would import it."""
    hook = f"import sys\n\nsys.path.append({str(project.root / 'other' / 'lib')!r})\n"
    benchmarks = BENCHMARKS.replace("jobs.decode", "helper.decode").replace(
        "import pytest", "import helper\nimport pytest"
    )
    files = {"conftest.py": hook, "benchmarks/test_jobs.py": benchmarks}
    project.commit(src_layout(**files, **{"other/lib/helper.py": jobs()}))
    project.commit({"other/lib/helper.py": jobs(decode=float(changed)), "README": "Changed"})
    if is_refused:
        with pytest.raises(UsageError, match=r"helper is imported from other/lib/helper.py of your checkout"):
            project.gate()
    else:
        assert outcomes(project.gate())["test_decode"] is Outcome.KEPT
