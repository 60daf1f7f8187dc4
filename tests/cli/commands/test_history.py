"""`perfsuite history` and `perfsuite export` on an invented store: output, files, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.measure.measurement import Environment
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import HERE, a_run

THERE = Environment({**HERE.hard, "cpu": "elsewhere"})


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.fsync", lambda handle: None)
    return tmp_path


@pytest.fixture
def stored(project: Path) -> Path:
    for number in range(30):
        jitter = 1 + 0.002 * (number * 7 % 5)
        seconds = {
            "test_a.py::test_read": 0.01 * jitter * (1.2 if number >= 20 else 1),
            "test_b.py::test_crop": 0.02 * jitter,
        }
        RunStore().save(
            a_run(commit=f"{number:040x}", seconds=seconds, created_at=f"2026-08-{1 + number:02d}T12:00"), {}
        )
    RunStore().save(a_run(environment=THERE, commit="e" * 40, seconds={"test_a.py::test_read": 0.5}), {})
    return project


def test_the_history_of_each_environment(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history"]) == 0
    out = capsys.readouterr().out
    assert out.count("environment ") == 2
    assert "+20.0 %" in out
    assert "1 measured commit in 0" in out
    assert "1 benchmark over 1 commit: none slower lately" in out


def test_one_environment_and_some_benchmarks(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "crop", "--environment", HERE.fingerprint[:5]]) == 0
    out = capsys.readouterr().out
    assert "crop" in out
    assert "read" not in out


def test_files_are_written(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--html", "h/history.html", "--site", "site", "--json", "-", "--environment", HERE.fingerprint]
    assert main(["history", *words]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    (change,) = report["benchmarks"][0]["changes"]
    assert (change["last_good"], change["first_bad"]) == (f"{19:040x}", f"{20:040x}")
    assert "<svg" in (stored / "h" / "history.html").read_text()
    assert (stored / "site" / HERE.fingerprint / "a.html").is_file()


def test_only_the_newest_commits(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--last", "8", "--environment", HERE.fingerprint]) == 0
    assert "8 runs of 8 commits" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nonsense"], 2, "no stored benchmark is called so"),
        (["--environment", "ffff"], 2, "no run of it is stored"),
        (["--anchor", "beef"], 2, "no commit or run of environment"),
        (["--html", "-", "--json", "-"], 2, "expected one of them on stdout"),
        (["--store", "empty"], 13, "holds no complete run"),
    ],
)
def test_wrong_words(
    words: list[str], code: int, message: str, stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", *words]) == code
    assert message in capsys.readouterr().err


def test_an_anchor_is_a_commit_or_a_run(stored: Path) -> None:
    for anchor in (f"{5:040x}", "0006_main"):
        assert main(["history", "--environment", HERE.fingerprint, "--anchor", anchor]) == 0


def test_without_ruptures_the_extra_is_named(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "ruptures"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    assert main(["history"]) == 2
    assert "pip install 'perfsuite[history]'" in capsys.readouterr().err


class Refusing:
    """Finds no ruptures."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "ruptures":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize("name", ["csv", "bmf", "github-action-benchmark", "asv", "prometheus"])
def test_export_to_stdout_and_to_a_file(name: str, stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--format", name, "0001"]) == 0
    out = capsys.readouterr().out
    assert "test_read" in out
    assert main(["export", "--format", name, "0001", "--output", "out/file"]) == 0
    assert (stored / "out" / "file").read_text().splitlines() == out.splitlines()


def test_export_of_all_runs_and_of_the_newest(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2 * 30 + 1
    assert main(["export", "--format", "bmf"]) == 0
    assert json.loads(capsys.readouterr().out)["test_a.py::test_read"]["latency"]["value"] == 5e8


def test_export_of_several_runs_where_one_is_meant(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--format", "asv", "0001", "0002"]) == 2
    assert "2 runs, expected one" in capsys.readouterr().err


def test_export_of_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--format", "csv"]) == 13
    assert main(["export", "--format", "bmf"]) == 13
    RunStore().save(a_run(seconds={}), {})
    for words in (["csv"], ["bmf"]):
        capsys.readouterr()
        main(["export", "--format", *words])
