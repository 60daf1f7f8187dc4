"""Which Python interpreter runs the gated project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from perfsuite.errors import UsageError
from perfsuite.gate.git import Repository

VENV_PYTHON = Path("bin", "python")
CHECK_SECONDS = 60.0  # an import from a slow disk


def project_interpreter(requested: str | None, repository: Repository) -> str:
    """The interpreter that the user named, else that of the project's environment.

    That environment is the `.venv` beside the project's pyproject.toml, else the active virtual environment,
    else the one that the gate itself runs in. It needs pytest, and nothing of perfsuite.
    """
    python = _named_interpreter(requested) if requested else _environment_interpreter(repository)
    if python != sys.executable:
        _refuse_without_pytest(python)
    return python


def _named_interpreter(requested: str) -> str:
    found = shutil.which(requested)
    if found is None:
        raise UsageError(
            f"--python {requested}: not an executable file, expected an interpreter such as .venv/bin/python"
        )
    return str(Path(found).absolute())  # links are kept: Python finds its environment beside the link


def _environment_interpreter(repository: Repository) -> str:
    active = os.environ.get("VIRTUAL_ENV")
    for environment in (_project_venv(repository), Path(active) if active else None):
        if environment is None or not (environment / VENV_PYTHON).is_file():
            continue
        if environment.resolve() == Path(sys.prefix).resolve():
            return sys.executable
        return str(environment.absolute() / VENV_PYTHON)
    return sys.executable


def _project_venv(repository: Repository) -> Path | None:
    """`.venv` beside the nearest pyproject.toml, from the project's folder up to the repository's root."""
    for folder in (repository.project_root, *repository.project_root.parents):
        if (folder / "pyproject.toml").is_file():
            return folder / ".venv"
        if folder == repository.root:
            break
    return None


def _refuse_without_pytest(python: str) -> None:
    try:
        done = subprocess.run(
            [python, "-c", "import pytest"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHECK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{python}: {error}; name another interpreter with --python") from error
    if done.returncode:
        raise UsageError(
            f"{python}: cannot import pytest, expected the environment that the benchmarks run in; "
            "install pytest there, or name another interpreter with --python"
        )
