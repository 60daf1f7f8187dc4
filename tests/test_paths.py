"""The rule of what stays inside a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.paths import link_on_the_way, resolves_inside, stays_inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "folder" / "file").write_text("")
    (tmp_path / "outside").mkdir()
    for name, target in {
        "in": "folder",
        "out": str(tmp_path / "outside"),
        "out_relative": "../outside",
        "out_by_way": "out",
        "out_and_back": "../root/folder",
        "dangling_in": "folder/gone",
        "dangling_out": "../gone",
        "loop": "loop",
        "loop_a": "loop_b",
        "loop_b": "loop_a",
        "folder/deep/up": "../..",
    }.items():
        (root / name).symlink_to(target)
    return root


INSIDE = [
    ".",
    "folder",
    "folder/file",
    "gone",
    "in",
    "in/file",
    "out_and_back",
    "dangling_in",
    "folder/deep/up",
]
OUTSIDE = [
    "..",
    "../outside",
    "out",
    "out/gone",
    "out_relative",
    "out_by_way",
    "dangling_out",
    "loop",
    "loop/x",
    "no path\0",
    "no path \ud800",
]


@pytest.mark.parametrize("name", INSIDE)
def test_paths_inside_the_root_resolve_inside(root: Path, name: str) -> None:
    assert resolves_inside(root / name, root)


@pytest.mark.parametrize("name", [*OUTSIDE, "loop_a", "x" * 5000])
def test_paths_that_lead_out_or_loop_do_not(root: Path, name: str) -> None:
    assert not resolves_inside(root / name, root)


def test_a_root_that_is_reached_by_a_link_is_the_same_root(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    assert resolves_inside(tmp_path / "alias" / "folder", root)
    assert resolves_inside(root / "folder", tmp_path / "alias")
    assert not resolves_inside(tmp_path / "alias" / "out", root)


@pytest.mark.parametrize(
    ("name", "link"),
    [("folder/file", None), ("in", None), ("in/file", "in"), ("folder/deep/up/in/x", "folder/deep/up")],
)
def test_the_first_link_below_the_root_is_returned(root: Path, name: str, link: str | None) -> None:
    assert link_on_the_way(root / name, root) == (root / link if link else None)


@pytest.mark.parametrize(
    ("name", "stays"),
    [("a", True), ("a/b", True), ("", True), ("../a", False), ("a/../b", False), ("/a", False)],
)
def test_names_are_checked_by_their_text(name: str, stays: bool) -> None:
    assert stays_inside(name) is stays
