"""Tests marked gpu: skipped without a GPU unless one is required, and collected without other files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
OPTIONS = ("-p", "no:perfsuite", "-p", "no:hypothesispytest")
MARKED = "import pytest\n@pytest.mark.gpu\ndef test_gpu(): pass"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with this repository's conftest.py, on a machine without a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    pytester.makeconftest((ROOT / "conftest.py").read_text().replace('pytest_plugins = ["pytester"]', ""))
    pytester.makeini("[pytest]\nmarkers = gpu: needs a GPU")
    return pytester


def test_without_a_required_gpu_the_tests_fail(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makepyfile(MARKED)
    project.runpytest_inprocess(*OPTIONS).assert_outcomes(skipped=1)
    monkeypatch.setenv("PERFSUITE_REQUIRE_GPU", "1")
    assert project.runpytest_inprocess(*OPTIONS).ret == pytest.ExitCode.USAGE_ERROR


def test_a_selection_of_gpu_tests_imports_no_other_file(project: pytest.Pytester) -> None:
    project.makepyfile(test_marked=MARKED, test_other="raise ImportError('planted')")
    project.runpytest_inprocess(*OPTIONS, "-m", "gpu").assert_outcomes(skipped=1)
    project.runpytest_inprocess(*OPTIONS, "-m", "not gpu").assert_outcomes(errors=1)


def test_a_file_that_the_selection_would_miss_is_refused(project: pytest.Pytester) -> None:
    project.makepyfile(marks="import pytest\nGPU = pytest.mark.gpu")
    project.makepyfile(test_it="from marks import GPU\n@GPU\ndef test_gpu(): pass")
    run = project.runpytest_inprocess(*OPTIONS)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*test_it.py: a test has the mark gpu from another file*"])
