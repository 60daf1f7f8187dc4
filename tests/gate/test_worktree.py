"""Checkouts of both sides: project folders, uncommitted changes, shared files."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate.gate import gate
from perfsuite.gate.git import Repository
from perfsuite.gate.worktree import Worktree, copy_uncommitted, link_shared_files
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import (
    BENCHMARKS,
    Project,
    jobs,
    outcomes,
    quick_settings,
    src_layout,
    workload_named,
)

CHANGED = BENCHMARKS.replace("jobs.resize, 2", "jobs.resize, 9")


def test_benchmarks_with_their_own_pytest_ini_are_compared_with_themselves(project: Project) -> None:
    """With a pytest.ini in the folder, node ids are not relative to the repository."""
    files = src_layout(**{"perf/pytest.ini": "[pytest]\n", "perf/test_jobs.py": BENCHMARKS})
    del files["benchmarks/test_jobs.py"]
    project.commit(files)
    project.commit({"perf/test_jobs.py": CHANGED})
    report = project.gate(pytest_args=("perf",))
    assert outcomes(report) == {"test_decode": Outcome.KEPT, "test_resize": Outcome.KEPT}
    assert workload_named(report, "test_resize").file == "perf/test_jobs.py"


def test_one_of_several_projects_is_gated_from_its_folder(project: Project) -> None:
    files = {f"services/a/{name}": text for name, text in src_layout().items()}
    project.commit({**files, "services/b/test_other.py": BENCHMARKS, "conftest.py": ""})
    project.commit(
        {"services/a/src/toy/jobs.py": jobs(decode=0.0012), "services/a/benchmarks/test_jobs.py": CHANGED}
    )
    report = gate(quick_settings(), project.root / "services" / "a")
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}
    assert workload_named(report, "test_decode").file == "services/a/benchmarks/test_jobs.py"


def test_a_file_that_base_cannot_collect_is_an_error_and_not_new(project: Project) -> None:
    """Otherwise a benchmark that base broke would stay green."""
    importing_later = BENCHMARKS.replace("from toy import", "from toy import later,")
    project.commit(src_layout(**{"benchmarks/test_later.py": importing_later}))
    project.commit({"src/toy/later.py": ""})
    report = project.gate()
    later = [workload for workload in report.workloads if "test_later" in workload.name]
    assert {workload.outcome for workload in later} == {Outcome.ERROR}
    assert not report.skipped
    assert report.exit_code == 12
    (note,) = [note for note in report.notes if "collection failed" in note]
    assert note.startswith(
        "base: collection failed: benchmarks/test_later.py: ImportError: cannot import name 'later'"
    )


def test_a_file_that_neither_side_can_collect_is_an_error(project: Project) -> None:
    """Otherwise its benchmarks would be lost without a word."""
    broken = BENCHMARKS.replace("from toy import", "from toy import absent,")
    project.commit(src_layout(**{"benchmarks/test_broken.py": broken}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.001)})
    report = project.gate()
    workload = workload_named(report, "test_broken.py")
    assert workload.outcome is Outcome.ERROR
    assert "not collected on both sides: ImportError: cannot import name 'absent'" in workload.worst.reason
    assert report.exit_code == 12


def test_a_new_file_that_head_cannot_collect_is_an_error(project: Project) -> None:
    project.commit(src_layout())
    project.commit({"benchmarks/test_new.py": "import absent\n"})
    report = project.gate()
    assert "not collected on head" in workload_named(report, "test_new.py").worst.reason
    assert report.exit_code == 12


def worktree_of(project: Project, path: Path) -> tuple[Repository, Worktree]:
    project.git("worktree", "add", "--quiet", "--detach", str(path))
    return Repository.at(project.root), Worktree("head", path, path, "", "head")


def test_files_links_and_folders_may_replace_each_other(project: Project) -> None:
    outside = project.root.parent / "outside"
    outside.mkdir()
    (outside / "x").write_text("the user's own")
    project.write({"file": "1", "folder/x": "1", "gone": "1"})
    (project.root / "link").symlink_to(outside)
    project.commit({})
    repository, tree = worktree_of(project, project.root.parent / "head")
    for name in ("file", "link", "gone", "folder/x"):
        (project.root / name).unlink()
    (project.root / "folder").rmdir()
    project.write({"file/x": "2", "folder": "2", "link/x": "2"})
    copy_uncommitted(repository, tree)
    texts = {name: (tree.project_root / name).read_text() for name in ("file/x", "folder", "link/x")}
    assert set(texts.values()) == {"2"}
    assert not (tree.project_root / "gone").exists()
    assert (outside / "x").read_text() == "the user's own"


def test_shared_files_must_lie_in_the_repository(project: Project) -> None:
    project.commit({"a/test_a.py": "", ".gitignore": "images\n"})
    project.write({"images/1.jpg": "", "a/weights": ""})
    (project.root.parent / "secrets").touch()
    repository, tree = worktree_of(project, project.root.parent / "head")
    link_shared_files(repository, tree, ["images", "a/../a/weights"])
    assert (tree.path / "images" / "1.jpg").exists()
    assert (tree.path / "a" / "weights").is_symlink()
    for name in ("../secrets", "a/../../secrets", "images/none", "."):
        with pytest.raises(UsageError, match="not found in"):
            link_shared_files(repository, tree, [name])


def test_a_named_file_that_base_lacks_is_new(project: Project) -> None:
    project.commit(src_layout())
    later = BENCHMARKS.replace("from toy import", "from toy import later,")
    project.commit({"benchmarks/test_later.py": later, "src/toy/later.py": ""})
    report = project.gate(pytest_args=("benchmarks/test_later.py",))
    assert outcomes(report) == {"test_decode": Outcome.NEW, "test_resize": Outcome.NEW}
    assert report.exit_code == 12
