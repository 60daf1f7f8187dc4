"""A harness with links: they are copied or replaced, never followed out of a side."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.gate.harness import copy_harness
from tests.gate.projects import (
    Project,
    contents,
)

# The link, what it leads to from the side's checkout, and whether a file of the harness lies behind it.
LINKS = {
    "absolute": ("b", "{outside}"),
    "relative": ("b", "../outside"),
    "up and down again": ("b", "../target/../outside"),
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


def write_with_link(side: Project, outside: Project, case: str, files: dict[str, str]) -> Path:
    """Write the files of a side, with one of them or their folder replaced by a link."""
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
def test_the_harness_replaces_a_link_and_is_not_written_through_it(
    tmp_path: Path, outside: Project, case: str
) -> None:
    source, target = Project(tmp_path / "source"), Project(tmp_path / "target")
    source.write(HARNESS)
    write_with_link(target, outside, case, {**HARNESS, "b/test_a.py": "old", "b/only_here.py": "old"})
    before = contents(outside.root)
    copy_harness(source.root, target.root, ["b"])
    assert contents(outside.root) == before
    copied = {file: (target.root / file).read_text() for file in HARNESS}
    assert copied == HARNESS
    assert not (target.root / "b" / "only_here.py").exists()
    assert not [file for file in HARNESS if (target.root / file).is_symlink()]
    assert not (target.root / "b").is_symlink()


@pytest.mark.parametrize("case", [case for case in LINKS if case != "bytecode"])
def test_a_source_link_that_leads_out_is_copied_as_a_link(
    tmp_path: Path, outside: Project, case: str
) -> None:
    source, target = Project(tmp_path / "source"), Project(tmp_path / "target")
    target.write({**HARNESS, "b/test_a.py": "old", "b/only_here.py": "old"})
    target.write({"b/sub/__pycache__/1.cpython-311.pyc": "", "b/__pycache__/test_a.cpython-311.pyc": "old"})
    link = write_with_link(source, outside, case, HARNESS)
    before = contents(outside.root)
    for _ in range(2):
        changed = copy_harness(source.root, target.root, ["b"])
        assert contents(outside.root) == before
        copied = target.root / link.relative_to(source.root)
        assert copied.readlink() == link.readlink()
    assert changed == (), "the second copy changes nothing"


@pytest.mark.parametrize("case", [case for case in LINKS if case != "bytecode"])
def test_a_link_on_both_sides_is_left_alone(tmp_path: Path, outside: Project, case: str) -> None:
    source, target = Project(tmp_path / "source"), Project(tmp_path / "target")
    for side in (source, target):
        write_with_link(side, outside, case, HARNESS)
    before = contents(outside.root)
    assert copy_harness(source.root, target.root, ["b"]) == ()
    assert contents(outside.root) == before


def test_links_inside_a_side_are_followed_in_the_source_only(tmp_path: Path) -> None:
    """Both sides have their benchmarks behind a link of their own; base's real files are not changed."""
    source, target = Project(tmp_path / "source"), Project(tmp_path / "target")
    source.write({"real/test_a.py": "new", "real/same.py": "same", "tests/conftest.py": "head's"})
    target.write({"real/test_a.py": "old", "real/same.py": "same", "tests/conftest.py": "base's"})
    for side in (source, target):
        (side.root / "b").symlink_to("real")
        (side.root / "real" / "conftest.py").symlink_to("../tests/conftest.py")
    copy_harness(source.root, target.root, ["b"])
    assert {path.name: path.read_text() for path in (target.root / "b").iterdir()} == {
        "test_a.py": "new",
        "same.py": "same",
        "conftest.py": "head's",
    }
    assert (target.root / "real" / "test_a.py").read_text() == "old"
    assert (target.root / "tests" / "conftest.py").read_text() == "base's"


def test_bytecode_behind_a_new_link_is_not_removed(tmp_path: Path, outside: Project) -> None:
    source, target = Project(tmp_path / "source"), Project(tmp_path / "target")
    target.write({"b/test_a.py": "", "b/only_here.py": ""})
    source.root.mkdir()
    (source.root / "b").symlink_to(outside.root)
    before = contents(outside.root)
    assert "b/only_here.py" in copy_harness(source.root, target.root, ["b"])
    assert contents(outside.root) == before
