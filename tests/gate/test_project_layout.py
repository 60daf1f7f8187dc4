"""Where projects keep their packages, and what belongs to their benchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate.git import Repository
from perfsuite.gate.harness import copy_harness, find_harness
from perfsuite.gate.project_layout import find_sources
from perfsuite.gate.worktree import refuse_in_place_extensions
from tests.gate.projects import Project, flat_layout, src_layout

LAYOUTS = [
    ({"src/toy/__init__.py": ""}, ("src",), ("toy",)),
    ({"src/space/part/mod.py": ""}, ("src",), ("space",)),
    ({"toy/__init__.py": "", "tests/__init__.py": "", "docs/conf.py": ""}, (".",), ("toy",)),
    ({"toy.py": "", "setup.py": "", "conftest.py": "", "test_toy.py": ""}, (".",), ("toy",)),
    (
        {"python/toy/__init__.py": "", "pyproject.toml": '[tool.maturin]\npython-source = "python"\n'},
        ("python",),
        ("toy",),
    ),
    (
        {
            "lib/toy/__init__.py": "",
            "pyproject.toml": '[tool.setuptools.packages.find]\nwhere = ["lib"]\n',
        },
        ("lib",),
        ("toy",),
    ),
    ({"test_only.py": ""}, (), ()),
]


@pytest.mark.parametrize(("files", "folders", "packages"), LAYOUTS)
def test_packages_are_found(
    tmp_path: Path, files: dict[str, str], folders: tuple[str, ...], packages: tuple[str, ...]
) -> None:
    Project(tmp_path).write(files)
    found = find_sources(tmp_path)
    assert (found.folders, found.packages) == (folders, packages)


def test_a_folder_outside_the_project_is_not_followed(tmp_path: Path) -> None:
    Project(tmp_path).write(
        {"p/pyproject.toml": '[tool.maturin]\npython-source = "../other"\n', "other/toy/__init__.py": ""}
    )
    assert find_sources(tmp_path / "p").folders == ()


def test_an_extension_built_in_place_is_refused_with_the_cure(project: Project) -> None:
    project.commit(src_layout(**{".gitignore": "*.so\n"}))
    project.write({"src/toy/_fast.cpython-311-x86_64-linux-gnu.so": "elf"})
    repository = Repository.at(project.root)
    with pytest.raises(UsageError, match=r"_fast.*--prepare"):
        refuse_in_place_extensions(repository, find_sources(project.root))


def test_the_harness_is_the_benchmarks_folder_with_its_conftest_and_configuration(tmp_path: Path) -> None:
    Project(tmp_path).write(src_layout(**{"conftest.py": "", "benchmarks/conftest.py": ""}))
    found = find_harness(tmp_path, ["benchmarks/test_jobs.py"], str(tmp_path / "pyproject.toml"))
    assert set(found) == {"benchmarks", "benchmarks/conftest.py", "conftest.py", "pyproject.toml"}


@pytest.mark.parametrize("file", ["test_jobs.py", "toy/test_jobs.py"])
def test_beside_the_projects_own_source_only_files_are_taken(tmp_path: Path, file: str) -> None:
    Project(tmp_path).write({**flat_layout(), file: ""})
    assert find_harness(tmp_path, [file], "") == (file,)


def test_laying_a_harness_replaces_adds_and_removes(tmp_path: Path) -> None:
    giver, taker = Project(tmp_path / "giver"), Project(tmp_path / "taker")
    giver.write({"b/same.py": "1", "b/changed.py": "new", "b/added.py": "", "src.py": "head"})
    taker.write({"b/same.py": "1", "b/changed.py": "old", "b/removed.py": "", "src.py": "base"})
    changed = copy_harness(giver.root, taker.root, ["b"])
    assert set(changed) == {"b/changed.py", "b/added.py", "b/removed.py"}
    assert (taker.root / "b/changed.py").read_text() == "new"
    assert not (taker.root / "b/removed.py").exists()
    assert (taker.root / "src.py").read_text() == "base"


def test_old_bytecode_goes_with_the_file_it_was_made_from(tmp_path: Path) -> None:
    """Same size, same second: Python would take it for the new file's."""
    giver, taker = Project(tmp_path / "giver"), Project(tmp_path / "taker")
    giver.write({"b/test_a.py": "SIZE = 9", "b/same.py": ""})
    stale = "b/__pycache__/test_a.cpython-311-pytest-9.pyc"
    taker.write(
        {"b/test_a.py": "SIZE = 1", "b/same.py": "", stale: "", "b/__pycache__/same.cpython-311.pyc": ""}
    )
    copy_harness(giver.root, taker.root, ["b"])
    assert [path.name for path in (taker.root / "b" / "__pycache__").iterdir()] == ["same.cpython-311.pyc"]


def test_a_harness_is_not_laid_through_links_into_what_is_the_users(tmp_path: Path) -> None:
    giver, taker, user = (Project(tmp_path / name) for name in ("giver", "taker", "user"))
    giver.write({"b/weights": "head's", "b/images/1.jpg": "head's", "b/was_folder": "file"})
    taker.write({"b/test_a.py": "", "b/was_folder/x": ""})
    user.write({"weights": "mine", "images/1.jpg": "mine"})
    for name in ("weights", "images"):
        (taker.root / "b" / name).symlink_to(user.root / name)
    copy_harness(giver.root, taker.root, ["b"])
    assert (user.root / "weights").read_text() == (user.root / "images" / "1.jpg").read_text() == "mine"
    for name in ("weights", "images/1.jpg"):
        assert (taker.root / "b" / name).read_text() == "head's"
    assert (taker.root / "b" / "was_folder").read_text() == "file"


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("services/a/benchmarks/test_a.py", {"services/a/benchmarks", "conftest.py"}),
        ("services/a/test_a.py", {"services/a/test_a.py", "conftest.py"}),
        ("../site-packages/suite/test_a.py", set()),
    ],
)
def test_the_harness_of_one_project_of_several(tmp_path: Path, file: str, names: set[str]) -> None:
    layout = {f"services/a/{name}": text for name, text in flat_layout().items()}
    Project(tmp_path).write({**layout, "conftest.py": ""})
    assert set(find_harness(tmp_path, [file], "", Path("services/a"))) == names
