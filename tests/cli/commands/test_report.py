"""`perfsuite report` on invented stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import a_run


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name: str, seconds: float, runs: int = 1) -> None:
    for number in range(runs):
        at = f"2026-08-01T12:{number:02d}:{len(name):02d}"
        took = {"test_a": seconds * (1 + 0.001 * (number % 3))}
        RunStore().save(a_run(name, f"{name}{name}", seconds=took, created_at=at), {})


def test_the_newest_run_is_shown_by_default(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("main", 0.01)
    save("head", 0.02)
    assert main(["report"]) == 0
    assert capsys.readouterr().out == "report: perf-report/run.html\n"
    page = (project / "perf-report" / "run.html").read_text()
    assert "<h1>Run head</h1>" in page
    assert "20.0 ms" in page
    assert "perfsuite report" in page


def test_a_named_run_and_another_folder(project: Path) -> None:
    save("main", 0.01)
    save("head", 0.02)
    assert main(["report", "main", "--out", "pages/a"]) == 0
    assert "# Run main" in (project / "pages" / "a" / "run.md").read_text()


def test_the_verdicts_of_a_comparison_are_on_the_page(project: Path) -> None:
    save("main", 0.01, runs=5)
    save("head", 0.02, runs=5)
    assert main(["report", "head", "--compare", "main"]) == 0
    text = (project / "perf-report" / "run.md").read_text()
    assert "**regressed**" in text
    assert "1 workload: 1 regressed" in text


def test_an_empty_store_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) != 0
    assert "save one with: pytest benchmarks --perf-save NAME" in capsys.readouterr().err


def test_compare_writes_a_page_too(project: Path) -> None:
    save("main", 0.01, runs=5)
    save("head", 0.02, runs=5)
    assert main(["compare", "main", "head", "--report", "out"]) == 1
    page = (project / "out" / "comparison.html").read_text()
    assert "Change of time" in page
    assert "regressed" in page
