"""Where projects keep their packages, and what belongs to their benchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate.arms import Repository, refuse_compiled
from perfsuite.gate.layout import harness_of, lay_harness, sources
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
    found = sources(tmp_path)
    assert (found.folders, found.packages) == (folders, packages)


def test_a_folder_outside_the_project_is_not_followed(tmp_path: Path) -> None:
    Project(tmp_path).write(
        {"p/pyproject.toml": '[tool.maturin]\npython-source = "../other"\n', "other/toy/__init__.py": ""}
    )
    assert sources(tmp_path / "p").folders == ()


def test_an_extension_built_in_place_is_refused_with_the_cure(project: Project) -> None:
    project.commit(src_layout(**{".gitignore": "*.so\n"}))
    project.write({"src/toy/_fast.cpython-311-x86_64-linux-gnu.so": "elf"})
    repository = Repository.at(project.root)
    with pytest.raises(UsageError, match=r"_fast.*--prepare"):
        refuse_compiled(repository, sources(project.root))


def test_the_harness_is_the_benchmarks_folder_with_its_conftest_and_configuration(tmp_path: Path) -> None:
    Project(tmp_path).write(src_layout(**{"conftest.py": "", "benchmarks/conftest.py": ""}))
    found = harness_of(tmp_path, ["benchmarks/test_jobs.py"], str(tmp_path / "pyproject.toml"))
    assert set(found) == {"benchmarks", "benchmarks/conftest.py", "conftest.py", "pyproject.toml"}


@pytest.mark.parametrize("file", ["test_jobs.py", "toy/test_jobs.py"])
def test_beside_the_projects_own_source_only_files_are_taken(tmp_path: Path, file: str) -> None:
    Project(tmp_path).write({**flat_layout(), file: ""})
    assert harness_of(tmp_path, [file], "") == (file,)


def test_laying_a_harness_replaces_adds_and_removes(tmp_path: Path) -> None:
    giver, taker = Project(tmp_path / "giver"), Project(tmp_path / "taker")
    giver.write({"b/same.py": "1", "b/changed.py": "new", "b/added.py": "", "src.py": "head"})
    taker.write({"b/same.py": "1", "b/changed.py": "old", "b/removed.py": "", "src.py": "base"})
    changed = lay_harness(giver.root, taker.root, ["b"])
    assert set(changed) == {"b/changed.py", "b/added.py", "b/removed.py"}
    assert (taker.root / "b/changed.py").read_text() == "new"
    assert not (taker.root / "b/removed.py").exists()
    assert (taker.root / "src.py").read_text() == "base"
