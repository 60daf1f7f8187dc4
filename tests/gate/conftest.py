from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.gate.projects import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project; arms start without plugins they do not need, and work in a folder of this test."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name in [name for name in os.environ if name.startswith("GITHUB_")]:
        monkeypatch.delenv(name)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project")
