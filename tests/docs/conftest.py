from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.playground import Playground, make_playground


@pytest.fixture(scope="session")
def full_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_playground(tmp_path_factory.mktemp("playground")).root


@pytest.fixture
def playground(full_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Playground:
    """A fresh copy of the folder, which is the current one."""
    root = tmp_path / "project"
    shutil.copytree(full_folder, root)
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root))
    return Playground(root)
