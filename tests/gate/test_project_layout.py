"""Where projects keep their packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate.git import Repository
from perfsuite.gate.project_layout import find_sources
from perfsuite.gate.worktree import refuse_in_place_extensions
from tests.gate.projects import Project, src_layout

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
    sources = find_sources(tmp_path)
    assert (sources.folders, sources.packages) == (folders, packages)


def test_a_source_folder_outside_the_project_is_ignored(tmp_path: Path) -> None:
    Project(tmp_path).write(
        {"p/pyproject.toml": '[tool.maturin]\npython-source = "../other"\n', "other/toy/__init__.py": ""}
    )
    assert find_sources(tmp_path / "p").folders == ()


def test_an_extension_built_in_place_is_refused_with_a_remedy(project: Project) -> None:
    project.commit(src_layout(**{".gitignore": "*.so\n"}))
    project.write({"src/toy/_fast.cpython-311-x86_64-linux-gnu.so": "elf"})
    repository = Repository.at(project.root)
    with pytest.raises(UsageError, match=r"_fast.*--prepare"):
        refuse_in_place_extensions(repository, find_sources(project.root))
