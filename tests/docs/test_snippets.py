"""The Python and TOML of every page as it stands: names defined, files present, settings accepted."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import torch

from perfsuite.gate.project_settings import parse_project_settings
from perfsuite.measure.environment import detect_environment
from perfsuite.pytest_plugin.markers import read_limits_file
from tests.docs.pages import PAGES, Block, blocks
from tests.docs.playground import Playground

WITH_PYTHON = [
    page for page in PAGES if any(not each.is_test and not each.file for each in blocks(page, "python"))
]
WITH_TESTS = [page for page in PAGES if any(each.is_test for each in blocks(page, "python"))]
WITH_TOML = [page for page in PAGES if blocks(page, "toml")]


def run_blocks(page: str, chosen: list[Block]) -> dict[str, Any]:
    """Run the blocks one after the other; a page has one namespace."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in chosen:
        exec(compile(block.text, page, "exec"), names)  # noqa: S102
    return names


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(page: str, playground: Playground) -> None:
    torch.manual_seed(0)
    names = run_blocks(page, [each for each in blocks(page, "python") if not each.is_test and not each.file])
    for value in names.values():
        if hasattr(value, "close") and type(value).__name__ in ("Loaders", "Loader"):
            value.close()


def test_a_name_that_no_block_defines_is_found() -> None:
    with pytest.raises(NameError):
        run_blocks("planted", [Block("python", "normalize(images)\n")])


def test_the_benchmarks_of_all_pages_run(playground: Playground) -> None:
    """Each workload is called once and not timed: the limits of a page are for an idle machine."""
    (playground.root / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    for page in WITH_TESTS:
        # Tests of one page import its other files; those of the README and of the tour are the same.
        playground.write_files(page)
        for number, block in enumerate(each for each in blocks(page, "python") if each.is_test):
            name = page.replace("/", "_").replace("-", "_").removesuffix(".md")
            (playground.root / f"test_{name}_{number}.py").write_text(block.text)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--benchmark-disable"),
            *(f"--perf-images={playground.root}/images", *map(str, playground.root.glob("test_*.py"))),
        ],
        cwd=playground.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 2 * len(WITH_TESTS) - 3  # type: ignore[index]


@pytest.mark.parametrize("page", WITH_TOML)
def test_the_toml_of_a_page_is_accepted(page: str, playground: Playground) -> None:
    for block in blocks(page, "toml"):
        document = tomllib.loads(block.text)
        if block.file == "benchmarks/limits.toml":
            playground.write_files(page)
            assert read_limits_file(playground.root / block.file, detect_environment().hard)
        elif "tool" in document and "perfsuite" in document["tool"]:
            assert parse_project_settings(block.text.encode(), page)
