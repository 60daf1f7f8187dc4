"""Commits, branches and hooks of other people's repositories."""

from __future__ import annotations

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate.gate import gate
from perfsuite.gate.git import Repository
from perfsuite.gate.worktree import (
    add_worktree,
)
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import (
    Project,
    jobs,
    outcomes,
    quick_settings,
    src_layout,
)


def test_the_note_counts_commits_of_base_that_head_lacks(project: Project) -> None:
    fork = project.commit(src_layout())
    project.commit({"src/toy/jobs.py": jobs(decode=0.0009)}, "base went on")
    project.git("checkout", "--quiet", "-b", "feature", fork)
    project.commit({"README": "1"})
    repository = Repository.at(project.root)
    head, base = repository.commit("feature"), repository.commit("main")
    assert "head lacks 1 commit of base" in repository.divergence_note(head, base)
    assert f"--base {fork[:12]}" in repository.divergence_note(head, base)
    assert repository.divergence_note(head, fork) == repository.divergence_note(fork, head) == ""


def test_inside_a_hook_the_index_of_the_commit_is_left_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.commit(src_layout())
    project.commit({"README": "1"})
    index = project.root / ".git" / "index"
    before = index.read_bytes()
    for name, value in (("GIT_DIR", project.root / ".git"), ("GIT_INDEX_FILE", index), ("GIT_PREFIX", "")):
        monkeypatch.setenv(name, str(value))
    repository = Repository.at(project.root)
    add_worktree(repository, "base", repository.commit("HEAD~1"), project.root.parent / "base", "base")
    assert index.read_bytes() == before
    assert not (project.root.parent / "base" / "README").exists()


def test_a_commit_missing_in_a_shallow_clone_is_reported_with_a_remedy(project: Project) -> None:
    first = project.commit(src_layout())
    project.commit({"README": "1"})
    shallow = project.root.parent / "shallow"
    project.git("clone", "--quiet", "--depth", "1", f"file://{project.root}", str(shallow))
    with pytest.raises(UsageError, match="shallow: fetch more"):
        gate(quick_settings(first, None), shallow)


def test_a_branch_may_have_any_name(project: Project) -> None:
    project.commit(src_layout())
    project.git("branch", "größe/it's-#1")
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    report = project.gate(base="größe/it's-#1")
    assert report.base.label == "größe/it's-#1"
    assert outcomes(report)["test_decode"] is Outcome.REGRESSED


def test_a_virtual_environment_that_git_does_not_ignore_is_no_change(project: Project) -> None:
    project.commit(src_layout())
    for name in (".venv/pyvenv.cfg", ".venv/bin/activate", ".venvs.txt", "other/pyvenv.txt"):
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert Repository.at(project.root).uncommitted_files() == (".venvs.txt", "other/pyvenv.txt")


def test_bytecode_that_git_does_not_ignore_is_no_change(project: Project) -> None:
    project.commit(src_layout())
    project.write({"src/toy/__pycache__/jobs.cpython-311.pyc": "", "src/toy/more.py": ""})
    assert Repository.at(project.root).uncommitted_files() == ("src/toy/more.py",)
