"""What belongs to the harness, and how it is copied to the other side."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.gate.harness import copy_harness, find_harness
from tests.gate.projects import (
    Project,
    flat_layout,
    src_layout,
)


def test_the_harness_is_the_benchmark_folder_conftest_files_and_configuration(tmp_path: Path) -> None:
    Project(tmp_path).write(src_layout(**{"conftest.py": "", "benchmarks/conftest.py": ""}))
    names = find_harness(tmp_path, ["benchmarks/test_jobs.py"], str(tmp_path / "pyproject.toml"))
    assert set(names) == {"benchmarks", "benchmarks/conftest.py", "conftest.py", "pyproject.toml"}


@pytest.mark.parametrize("file", ["test_jobs.py", "toy/test_jobs.py"])
def test_beside_the_projects_source_the_harness_is_single_files(tmp_path: Path, file: str) -> None:
    Project(tmp_path).write({**flat_layout(), file: ""})
    assert find_harness(tmp_path, [file], "") == (file,)


def test_copying_a_harness_replaces_adds_and_removes_files(tmp_path: Path) -> None:
    source, target = Project(tmp_path / "source"), Project(tmp_path / "target")
    source.write({"b/same.py": "1", "b/changed.py": "new", "b/added.py": "", "src.py": "head"})
    target.write({"b/same.py": "1", "b/changed.py": "old", "b/removed.py": "", "src.py": "base"})
    changed = copy_harness(source.root, target.root, ["b"])
    assert set(changed) == {"b/changed.py", "b/added.py", "b/removed.py"}
    assert (target.root / "b/changed.py").read_text() == "new"
    assert not (target.root / "b/removed.py").exists()
    assert (target.root / "src.py").read_text() == "base"


def test_old_bytecode_is_removed_with_its_file(tmp_path: Path) -> None:
    """Size and second are equal, so Python would use the old bytecode for the new file."""
    source, target = Project(tmp_path / "source"), Project(tmp_path / "target")
    source.write({"b/test_a.py": "SIZE = 9", "b/same.py": ""})
    stale = "b/__pycache__/test_a.cpython-311-pytest-9.pyc"
    target.write(
        {"b/test_a.py": "SIZE = 1", "b/same.py": "", stale: "", "b/__pycache__/same.cpython-311.pyc": ""}
    )
    copy_harness(source.root, target.root, ["b"])
    assert [path.name for path in (target.root / "b" / "__pycache__").iterdir()] == ["same.cpython-311.pyc"]


def test_the_harness_is_not_written_through_links_to_user_files(tmp_path: Path) -> None:
    source, target, user = (Project(tmp_path / name) for name in ("source", "target", "user"))
    source.write({"b/weights": "head's", "b/images/1.jpg": "head's", "b/was_folder": "file"})
    target.write({"b/test_a.py": "", "b/was_folder/x": ""})
    user.write({"weights": "mine", "images/1.jpg": "mine"})
    for name in ("weights", "images"):
        (target.root / "b" / name).symlink_to(user.root / name)
    copy_harness(source.root, target.root, ["b"])
    assert (user.root / "weights").read_text() == (user.root / "images" / "1.jpg").read_text() == "mine"
    for name in ("weights", "images/1.jpg"):
        assert (target.root / "b" / name).read_text() == "head's"
    assert (target.root / "b" / "was_folder").read_text() == "file"


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("services/a/benchmarks/test_a.py", {"services/a/benchmarks", "conftest.py"}),
        ("services/a/test_a.py", {"services/a/test_a.py", "conftest.py"}),
        ("../site-packages/suite/test_a.py", set()),
    ],
)
def test_the_harness_of_one_of_several_projects(tmp_path: Path, file: str, names: set[str]) -> None:
    layout = {f"services/a/{name}": text for name, text in flat_layout().items()}
    Project(tmp_path).write({**layout, "conftest.py": ""})
    assert set(find_harness(tmp_path, [file], "", Path("services/a"))) == names
