from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.gate.projects import USER_FILES, Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project, gated without unneeded plugins, in this test's environment and folder."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    for name in [name for name in os.environ if name.startswith("GITHUB_")]:
        monkeypatch.delenv(name)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project")


@pytest.fixture
def outside(tmp_path: Path) -> Project:
    """A folder of the user's beside the checkouts."""
    folder = Project(tmp_path / "outside")
    folder.write(USER_FILES)
    return folder
