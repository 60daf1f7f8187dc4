"""Submodules are checked out from the clones that a repository already has."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.gate.submodules import check_out_submodules
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import (
    Project,
    jobs,
    outcomes,
    src_layout,
)

COST = """

from pathlib import Path

cost = int((Path(__file__).parents[2] / "libs" / "part" / "text").read_text())


def decode():
    work(0.001 * cost)
    return "decoded"
"""


@pytest.fixture
def with_submodule(project: Project) -> Project:
    """A project of two commits, each with its own commit of one submodule."""
    part = Project(project.root.parent / "part")
    part.root.mkdir()
    part.commit({"text": "1", "only/for.tests": "1", ".gitattributes": "only export-ignore\n"})
    project.commit(src_layout(**{"src/toy/jobs.py": jobs() + COST}))
    allowed = ("-c", "protocol.file.allow=always")
    project.git(*allowed, "submodule", "--quiet", "add", str(part.root), "libs/part")
    project.commit({}, "first")
    part.commit({"text": "2"})
    project.git("-C", "libs/part", *allowed, "pull", "--quiet")
    project.commit({}, "second")
    return project


@pytest.mark.parametrize(("commit", "text"), [("HEAD~1", "1"), ("HEAD", "2")])
def test_a_submodule_is_checked_out_at_the_recorded_commit(
    with_submodule: Project, tmp_path: Path, commit: str, text: str
) -> None:
    assert check_out_submodules(with_submodule.root, commit, tmp_path / "side") == []
    checkout = tmp_path / "side" / "libs" / "part"
    assert (checkout / "text").read_text() == text
    assert (checkout / "only" / "for.tests").exists()
    assert sorted(path.name for path in checkout.parent.iterdir()) == ["part"]


def test_a_slower_submodule_is_found(with_submodule: Project) -> None:
    report = with_submodule.gate()
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}
    with_submodule.write({"libs/part/text": "3"})
    report = with_submodule.gate(base="HEAD", head=None)
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}


def test_uncommitted_changes_of_a_submodule_are_part_of_head(with_submodule: Project, tmp_path: Path) -> None:
    with_submodule.write({"libs/part/text": "3", "libs/part/new": "3"})
    assert check_out_submodules(with_submodule.root, "HEAD", tmp_path / "side", is_working_tree=True) == []
    checkout = tmp_path / "side" / "libs" / "part"
    assert (checkout / "text").read_text() == (checkout / "new").read_text() == "3"
    assert check_out_submodules(with_submodule.root, "HEAD", tmp_path / "other") == []
    assert (tmp_path / "other" / "libs" / "part" / "text").read_text() == "2"


def test_a_missing_submodule_is_reported_with_a_remedy(with_submodule: Project, tmp_path: Path) -> None:
    with_submodule.git("submodule", "--quiet", "deinit", "--force", "libs/part")
    (problem,) = check_out_submodules(with_submodule.root, "HEAD", tmp_path / "side")
    assert problem == "submodule libs/part is not here; git submodule update --init"
