"""A temporary checkout of another commit imports its own packages, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate.checkout import temporary_checkout
from tests.gate.projects import Project, src_layout


def test_a_checkout_has_the_files_of_its_commit(project: Project) -> None:
    project.commit(src_layout(**{"src/toy/name.py": "first"}))
    project.commit({"src/toy/name.py": "second"})
    with temporary_checkout(project.root, "HEAD~1") as checkout:
        assert (checkout.tree.path / "src/toy/name.py").read_text() == "first"
        folder = checkout.tree.path
    assert not folder.exists()


def test_a_package_imported_from_elsewhere_is_refused(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an editable install with an import hook would import it."""
    project.commit(src_layout())
    hook = Project(tmp_path / "hook")
    hook.write({"sitecustomize.py": f"import sys\n\nsys.path.insert(0, {str(project.root / 'src')!r})\n"})
    monkeypatch.setenv("PYTHONPATH", str(hook.root))
    with (
        pytest.raises(UsageError, match=r"HEAD: toy is imported from .*--prepare"),
        temporary_checkout(project.root, "HEAD"),
    ):
        pass
