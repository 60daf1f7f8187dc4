"""Links that lead out of a side's checkout: replaced or copied as links, never followed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate import submodules, workspace
from perfsuite.gate.git import Repository
from perfsuite.gate.harness import copy_harness
from perfsuite.gate.project_layout import find_sources
from perfsuite.gate.worktree import Worktree, clear_path, copy_files, link_shared_files
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import BENCHMARKS, Project, jobs, outcomes, src_layout

USERS = {
    "test_a.py": "the user's",
    "only_here.py": "the user's",
    "sub/images/1.jpg": "the user's",
    "__pycache__/test_a.cpython-311.pyc": "the user's",
    "__pycache__/only_here.cpython-311.pyc": "the user's",
}
# The link, what it leads to from the side's checkout, and whether a file of the harness lies behind it.
LINKS = {
    "absolute": ("b", "{outside}"),
    "relative": ("b", "../outside"),
    "up and down again": ("b", "../taker/../outside"),
    "in the middle": ("b/sub", "{outside}/sub"),
    "in the middle, relative": ("b/sub", "../../outside/sub"),
    "to a link that leads out": ("b", "by_way_of"),
    "to a file": ("b/test_a.py", "{outside}/test_a.py"),
    "dangling": ("b", "{outside}/not_there"),
    "dangling file": ("b/test_a.py", "{outside}/not_there.py"),
    "loop": ("b", "b"),
    "loop of two": ("b", "by_way_of_b"),
    "bytecode": ("b/__pycache__", "{outside}/__pycache__"),
}
HARNESS = {"b/test_a.py": "new", "b/sub/images/1.jpg": "new", "b/only_there.py": "new"}


@pytest.fixture
def outside(tmp_path: Path) -> Project:
    """A folder of the user's beside the checkouts."""
    users = Project(tmp_path / "outside")
    users.write(USERS)
    return users


def contents(folder: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else "folder"
        for path in folder.rglob("*")
    }


def lay_link(side: Project, outside: Project, case: str, files: dict[str, str]) -> Path:
    """The files of a side, one of them or their folder replaced by a link."""
    name, target = LINKS[case]
    side.write({file: text for file, text in files.items() if not Path(file).is_relative_to(name)})
    side.root.mkdir(exist_ok=True)
    link = side.root / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target.format(outside=outside.root))
    (side.root / "by_way_of").symlink_to(outside.root)
    (side.root / "by_way_of_b").symlink_to("b")
    return link


@pytest.mark.parametrize("case", LINKS)
def test_a_harness_is_laid_in_place_of_a_link_and_not_through_it(
    tmp_path: Path, outside: Project, case: str
) -> None:
    giver, taker = Project(tmp_path / "giver"), Project(tmp_path / "taker")
    giver.write(HARNESS)
    lay_link(taker, outside, case, {**HARNESS, "b/test_a.py": "old", "b/only_here.py": "old"})
    before = contents(outside.root)
    copy_harness(giver.root, taker.root, ["b"])
    assert contents(outside.root) == before
    laid = {file: (taker.root / file).read_text() for file in HARNESS}
    assert laid == HARNESS
    assert not (taker.root / "b" / "only_here.py").exists()
    assert not [file for file in HARNESS if (taker.root / file).is_symlink()]
    assert not (taker.root / "b").is_symlink()


@pytest.mark.parametrize("case", [case for case in LINKS if case != "bytecode"])
def test_a_link_of_the_giver_that_leads_out_stays_a_link(tmp_path: Path, outside: Project, case: str) -> None:
    giver, taker = Project(tmp_path / "giver"), Project(tmp_path / "taker")
    taker.write({**HARNESS, "b/test_a.py": "old", "b/only_here.py": "old"})
    taker.write({"b/sub/__pycache__/1.cpython-311.pyc": "", "b/__pycache__/test_a.cpython-311.pyc": "old"})
    link = lay_link(giver, outside, case, HARNESS)
    before = contents(outside.root)
    for _ in range(2):
        changed = copy_harness(giver.root, taker.root, ["b"])
        assert contents(outside.root) == before
        laid = taker.root / link.relative_to(giver.root)
        assert laid.readlink() == link.readlink()
    assert changed == (), "laid once, both sides are alike"


@pytest.mark.parametrize("case", [case for case in LINKS if case != "bytecode"])
def test_a_link_that_both_sides_have_is_left_alone(tmp_path: Path, outside: Project, case: str) -> None:
    giver, taker = Project(tmp_path / "giver"), Project(tmp_path / "taker")
    for side in (giver, taker):
        lay_link(side, outside, case, HARNESS)
    before = contents(outside.root)
    assert copy_harness(giver.root, taker.root, ["b"]) == ()
    assert contents(outside.root) == before


def test_links_inside_a_side_are_followed_on_the_givers_only(tmp_path: Path) -> None:
    """Both have the benchmarks behind a link of their own; base's own files stay where they were."""
    giver, taker = Project(tmp_path / "giver"), Project(tmp_path / "taker")
    giver.write({"real/test_a.py": "new", "real/same.py": "same", "tests/conftest.py": "head's"})
    taker.write({"real/test_a.py": "old", "real/same.py": "same", "tests/conftest.py": "base's"})
    for side in (giver, taker):
        (side.root / "b").symlink_to("real")
        (side.root / "real" / "conftest.py").symlink_to("../tests/conftest.py")
    copy_harness(giver.root, taker.root, ["b"])
    assert {path.name: path.read_text() for path in (taker.root / "b").iterdir()} == {
        "test_a.py": "new",
        "same.py": "same",
        "conftest.py": "head's",
    }
    assert (taker.root / "real" / "test_a.py").read_text() == "old"
    assert (taker.root / "tests" / "conftest.py").read_text() == "base's"


def test_where_a_folder_becomes_a_link_the_bytecode_behind_it_stays(tmp_path: Path, outside: Project) -> None:
    giver, taker = Project(tmp_path / "giver"), Project(tmp_path / "taker")
    taker.write({"b/test_a.py": "", "b/only_here.py": ""})
    giver.root.mkdir()
    (giver.root / "b").symlink_to(outside.root)
    before = contents(outside.root)
    assert "b/only_here.py" in copy_harness(giver.root, taker.root, ["b"])
    assert contents(outside.root) == before


@pytest.mark.parametrize("name", ["../outside/test_a.py", "b/../../outside/test_a.py"])
def test_no_way_is_made_out_of_a_side(tmp_path: Path, outside: Project, name: str) -> None:
    (tmp_path / "taker").mkdir()
    with pytest.raises(UsageError, match="leads out"):
        clear_path(tmp_path / "taker" / name, tmp_path / "taker")
    assert (outside.root / "test_a.py").read_text() == "the user's"


def test_packages_behind_a_link_are_named_and_not_listed(
    tmp_path: Path, outside: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "side" / "src").mkdir(parents=True)
    (tmp_path / "side" / "src" / "toy").symlink_to(outside.root)
    monkeypatch.setattr(Path, "rglob", lambda *_: pytest.fail("listed"))
    assert find_sources(tmp_path / "side").packages == ("toy",)


# What changed in the working tree, laid over a checkout; {outside} is the link's target.
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
def test_uncommitted_changes_are_not_laid_through_links(
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
def test_what_is_shared_is_not_linked_from_outside_a_side(
    tmp_path: Path, outside: Project, target: str
) -> None:
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
def test_a_submodule_is_not_laid_over_the_clone_that_a_link_leads_to(
    project: Project, tmp_path: Path, link: str
) -> None:
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
    (told,) = submodules.check_out_submodules(project.root, "HEAD", checkout, is_working_tree=True)
    assert "libs/part is or lies behind a link" in told
    assert (clone.root / "part.py").read_text() == "the user's unfinished work"


def test_a_link_among_the_gates_folders_is_removed_and_not_followed(project: Project, tmp_path: Path) -> None:
    """It could hold a file that names an owner long dead."""
    users = Project(tmp_path / "outside")
    users.write({**USERS, "owner.json": json.dumps({"pid": 1, "started": "never", "git": str(tmp_path)})})
    root = tmp_path / "tmp" / f"perfsuite-gate-{os.getuid()}"
    root.mkdir(mode=0o700)
    for name, target in (("1-a", users.root), ("2-b", tmp_path / "not_there"), ("3-c", "3-c")):
        (root / name).symlink_to(target)
    before = contents(users.root)
    workspace.remove_leftovers()
    assert contents(users.root) == before
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("target", ["outside", "not_there"])
def test_a_link_in_place_of_all_gates_folders_is_refused(
    project: Project, tmp_path: Path, outside: Project, target: str
) -> None:
    (tmp_path / "tmp" / f"perfsuite-gate-{os.getuid()}").symlink_to(tmp_path / target)
    before = contents(outside.root)
    with pytest.raises(UsageError, match="expected a folder of this user"):
        workspace.remove_leftovers()
    assert contents(outside.root) == before
    assert not (tmp_path / "not_there").exists()


def test_clearing_a_gates_folder_leaves_what_its_links_lead_to(
    project: Project, tmp_path: Path, outside: Project
) -> None:
    """So do records of worktrees: one that is a link is not git's."""
    project.commit({"README": ""})
    records = project.root / ".git" / "worktrees"
    before = contents(outside.root)
    with workspace.gate_workspace(project.root / ".git") as place:
        outside.write({"gitdir": f"{place}/base/.git\n"})
        before = contents(outside.root)
        records.mkdir()
        (records / "base").symlink_to(outside.root)
        (place / "base").mkdir()
        (place / "base" / "images").symlink_to(outside.root)
        (place / "head").symlink_to(outside.root)
    assert not place.exists()
    assert contents(outside.root) == before


@pytest.mark.parametrize("harness", ["head", "base"])
@pytest.mark.parametrize("linked", ["head", "base"])
def test_a_gate_of_a_side_whose_benchmarks_are_a_link_leaves_what_it_leads_to(
    project: Project, tmp_path: Path, harness: str, linked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other side has a folder, and lacks a file of what lies behind the link."""
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
    """Its preparation would run in the folder that the link leads to."""
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


def test_a_slowdown_behind_a_link_is_still_found(project: Project, tmp_path: Path) -> None:
    """The negative control: a link inside the repository is no obstacle."""
    files = src_layout()
    real = {name.replace("benchmarks/", "real/"): text for name, text in files.items()}
    project.write(real)
    (project.root / "benchmarks").symlink_to("real")
    project.commit({})
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    report = project.gate(pytest_args=("benchmarks",))
    assert outcomes(report)["test_decode"] is Outcome.REGRESSED
