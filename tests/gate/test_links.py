"""Links that lead out of a side: replaced or copied as links, never followed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate import submodules, workspace
from perfsuite.gate.git import Repository
from perfsuite.gate.project_layout import find_sources
from perfsuite.gate.worktree import Worktree, clear_path, copy_files, link_shared_files
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import BENCHMARKS, USER_FILES, Project, contents, jobs, outcomes, src_layout


@pytest.mark.parametrize("name", ["../outside/test_a.py", "b/../../outside/test_a.py"])
def test_a_path_outside_the_side_is_refused(tmp_path: Path, outside: Project, name: str) -> None:
    (tmp_path / "taker").mkdir()
    with pytest.raises(UsageError, match="leads out"):
        clear_path(tmp_path / "taker" / name, tmp_path / "taker")
    assert (outside.root / "test_a.py").read_text() == "the user's"


def test_packages_behind_a_link_are_found_without_listing_them(
    tmp_path: Path, outside: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "side" / "src").mkdir(parents=True)
    (tmp_path / "side" / "src" / "toy").symlink_to(outside.root)
    monkeypatch.setattr(Path, "rglob", lambda *_: pytest.fail("listed"))
    assert find_sources(tmp_path / "side").packages == ("toy",)


# Changes in a working tree, to be copied over a checkout.
def _folder_became_a_link(tree: Project, outside: Project) -> list[str]:
    (tree.root / "sub").symlink_to(outside.root)
    return ["sub", "sub/test_a.py", "sub/gone.py"]


def _folder_became_a_dangling_link(tree: Project, outside: Project) -> list[str]:
    (tree.root / "sub").symlink_to(outside.root / "not_there")
    return ["sub", "sub/test_a.py"]


def _file_became_a_link(tree: Project, outside: Project) -> list[str]:
    (tree.root / "test_a.py").symlink_to(outside.root / "test_a.py")
    return ["test_a.py"]


def _link_became_a_folder(tree: Project, outside: Project) -> list[str]:
    tree.write({"was_a_link/test_a.py": "new"})
    return ["was_a_link", "was_a_link/test_a.py", "was_a_link/only_here.py"]


def _files_behind_a_link_went(tree: Project, outside: Project) -> list[str]:
    tree.root.mkdir(exist_ok=True)
    return ["was_a_link/test_a.py"]


@pytest.mark.parametrize(
    "change",
    [
        _folder_became_a_link,
        _folder_became_a_dangling_link,
        _file_became_a_link,
        _link_became_a_folder,
        _files_behind_a_link_went,
    ],
)
def test_uncommitted_changes_are_not_written_through_links(
    tmp_path: Path, outside: Project, change: Callable[[Project, Project], list[str]]
) -> None:
    tree, checkout = Project(tmp_path / "tree"), Project(tmp_path / "checkout")
    tree.root.mkdir()
    checkout.write({"sub/test_a.py": "old", "sub/gone.py": "old", "test_a.py": "old"})
    (checkout.root / "was_a_link").symlink_to(outside.root)
    changed = change(tree, outside)
    before = contents(outside.root)
    copy_files(tree.root, checkout.root, changed)
    assert contents(outside.root) == before
    for name in changed:
        source, target = tree.root / name, checkout.root / name
        assert source.is_symlink() == target.is_symlink()
        if source.is_symlink():
            assert source.readlink() == target.readlink()


@pytest.mark.parametrize("target", ["{outside}", "../outside", "{outside}/not_there", "data"])
def test_shared_files_are_not_linked_through_links(tmp_path: Path, outside: Project, target: str) -> None:
    """The repository has a folder where base has a link."""
    Project(tmp_path / "repository").write({"data/weights.bin": "shared"})
    side = tmp_path / "side"
    side.mkdir()
    (side / "data").symlink_to(target.format(outside=outside.root))
    before = contents(outside.root)
    repository = Repository(tmp_path / "repository", tmp_path / "repository" / ".git")
    link_shared_files(repository, Worktree("base", side, side, "", "main"), ["data/weights.bin"])
    assert contents(outside.root) == before
    assert (side / "data" / "weights.bin").read_text() == "shared"
    assert not (tmp_path / "outside" / "not_there").exists()


@pytest.mark.parametrize("link", ["libs", "libs/part"], ids=["on the way", "itself"])
def test_a_submodule_is_not_written_through_a_link(project: Project, tmp_path: Path, link: str) -> None:
    """The submodule was moved out of the working tree and a link left in its place."""
    moved = Project(tmp_path / "moved")
    clone = Project(moved.root / Path("libs/part").relative_to(link))
    clone.root.mkdir(parents=True)
    pinned = clone.commit({"part.py": "committed"})
    project.commit({"README": ""})
    project.git("update-index", "--add", "--cacheinfo", f"160000,{pinned},libs/part")
    project.git("commit", "--quiet", "--message", "a submodule")
    (project.root / link).parent.mkdir(exist_ok=True)
    (project.root / link).symlink_to(moved.root)
    clone.write({"part.py": "the user's unfinished work"})
    checkout = tmp_path / "checkout"
    project.git("worktree", "add", "--quiet", "--detach", str(checkout))
    copy_files(project.root, checkout, Repository.at(project.root).uncommitted_files())
    assert (checkout / link).is_symlink()
    (problem,) = submodules.check_out_submodules(project.root, "HEAD", checkout, is_working_tree=True)
    assert "libs/part is or lies behind a link" in problem
    assert (clone.root / "part.py").read_text() == "the user's unfinished work"


def test_a_link_among_workspaces_is_removed_and_not_followed(project: Project, tmp_path: Path) -> None:
    """Its target could hold a file that names a dead owner."""
    users = Project(tmp_path / "outside")
    users.write(
        {**USER_FILES, "owner.json": json.dumps({"pid": 1, "started": "never", "git": str(tmp_path)})}
    )
    root = tmp_path / "tmp" / f"perfsuite-gate-{os.getuid()}"
    root.mkdir(mode=0o700)
    for name, target in (("1-a", users.root), ("2-b", tmp_path / "not_there"), ("3-c", "3-c")):
        (root / name).symlink_to(target)
    before = contents(users.root)
    workspace.remove_leftovers()
    assert contents(users.root) == before
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("target", ["outside", "not_there"])
def test_a_link_in_place_of_the_workspaces_folder_is_refused(
    project: Project, tmp_path: Path, outside: Project, target: str
) -> None:
    (tmp_path / "tmp" / f"perfsuite-gate-{os.getuid()}").symlink_to(tmp_path / target)
    before = contents(outside.root)
    with pytest.raises(UsageError, match="expected a folder of this user"):
        workspace.remove_leftovers()
    assert contents(outside.root) == before
    assert not (tmp_path / "not_there").exists()


def test_removing_a_workspace_does_not_follow_its_links(
    project: Project, tmp_path: Path, outside: Project
) -> None:
    """Nor are records of worktrees that are links: git makes none."""
    project.commit({"README": ""})
    records = project.root / ".git" / "worktrees"
    before = contents(outside.root)
    with workspace.gate_workspace(project.root / ".git") as workspace_folder:
        outside.write({"gitdir": f"{workspace_folder}/base/.git\n"})
        before = contents(outside.root)
        records.mkdir()
        (records / "base").symlink_to(outside.root)
        (workspace_folder / "base").mkdir()
        (workspace_folder / "base" / "images").symlink_to(outside.root)
        (workspace_folder / "head").symlink_to(outside.root)
    assert not workspace_folder.exists()
    assert contents(outside.root) == before


@pytest.mark.parametrize("harness", ["head", "base"])
@pytest.mark.parametrize("linked", ["head", "base"])
def test_a_gate_does_not_change_what_a_linked_benchmark_folder_leads_to(
    project: Project, tmp_path: Path, harness: str, linked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other side has a folder that lacks a file of the linked one."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # pytest's own, beside what it collects
    users = Project(tmp_path / "outside")
    users.write({"test_jobs.py": BENCHMARKS, "only_here.txt": "the user's", "sub/1.jpg": "the user's"})
    before = contents(users.root)
    files = src_layout()
    package = {name: text for name, text in files.items() if not name.startswith("benchmarks/")}

    def commit(side: str) -> None:
        (project.root / "src" / "toy").mkdir(parents=True, exist_ok=True)
        if side == linked:
            for path in (project.root / "benchmarks").glob("*"):
                path.unlink()
            if (project.root / "benchmarks").exists():
                (project.root / "benchmarks").rmdir()
            (project.root / "benchmarks").symlink_to(users.root)
            project.commit({**package, "README": side})
        else:
            if (project.root / "benchmarks").is_symlink():
                (project.root / "benchmarks").unlink()
            project.commit({**files, "README": side})

    commit("base")
    commit("head")
    report = project.gate(harness=harness, max_pairs=1)
    assert contents(users.root) == before
    assert set(outcomes(report)) == {"test_decode", "test_resize"}
    assert Outcome.ERROR not in outcomes(report).values()


def test_a_project_folder_that_is_a_link_on_base_is_refused(project: Project, tmp_path: Path) -> None:
    """Its preparation would run in the user's folder."""
    users = Project(tmp_path / "outside")
    users.write({"pyproject.toml": "", "mine.txt": "the user's"})
    project.root.joinpath("service").symlink_to(users.root)
    project.commit({"README": ""})
    (project.root / "service").unlink()
    project.commit({f"service/{name}": text for name, text in src_layout().items()})
    before = contents(users.root)
    inside = Project(project.root / "service")
    with pytest.raises(UsageError, match=r"base: service .* leads out of the checkout"):
        inside.gate(prepare=("touch made_here",))
    assert contents(users.root) == before


def test_a_slowdown_behind_a_link_inside_the_repository_is_found(project: Project, tmp_path: Path) -> None:
    """The negative control: a link inside the repository is no obstacle."""
    files = src_layout()
    real = {name.replace("benchmarks/", "real/"): text for name, text in files.items()}
    project.write(real)
    (project.root / "benchmarks").symlink_to("real")
    project.commit({})
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    report = project.gate(pytest_args=("benchmarks",))
    assert outcomes(report)["test_decode"] is Outcome.REGRESSED
