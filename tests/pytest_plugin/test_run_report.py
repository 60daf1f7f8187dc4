"""`--perf-report DIR`: the page of a pytest run."""

from __future__ import annotations

import pytest

from perfsuite.errors import StoreError
from perfsuite.pytest_plugin import run_report
from tests.pytest_plugin.conftest import Run

SOURCE = """
@pytest.mark.ceiling(seconds_per_call="100 s")
def test_sum(perf):
    perf(lambda: sum(range(10)))
"""


def test_the_page_has_the_verdicts_of_the_run(run: Run, pytester: pytest.Pytester) -> None:
    result = run(SOURCE, "--perf-report", "pages")
    result.stdout.fnmatch_lines(["report: *pages/run.html"])
    page = (pytester.path / "pages" / "run.html").read_text()
    assert "1 workload: 1 kept" in page
    assert "test_sum" in page
    assert "pytest" in page
    assert (pytester.path / "pages" / "run.md").exists()


def test_a_folder_that_is_a_file_is_refused_before_the_run(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "file").write_text("")
    result = run(SOURCE, "--perf-report", "file")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--perf-report: *file is a file, expected a folder*"])


def test_a_page_that_cannot_be_written_loses_no_result(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreError("no room")

    monkeypatch.setattr(run_report, "write_document", fail)
    result = run(SOURCE, "--perf-report", "pages")
    result.stdout.fnmatch_lines(["no report: no room"])
    assert result.ret == 0
