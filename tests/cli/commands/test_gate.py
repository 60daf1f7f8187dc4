"""`perfsuite gate`: exit codes, reports, options for pytest, and gates that compare nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.judge import machine_fitness
from tests.gate.conftest import project  # noqa: F401 - a fixture
from tests.gate.projects import BENCHMARKS, Project, jobs, src_layout

QUICK = ["--alpha", "0.6", "--max-pairs", "1", "--time-budget", "1h", "--hang-timeout", "600"]
PYTEST = ["--", "-p", "pytest_benchmark.plugin"]
SKIPPED = "import pytest\npytestmark = pytest.mark.skip(reason='not today')\ndef test_a(benchmark): ...\n"


@pytest.fixture
def in_project(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:  # noqa: F811
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(machine_fitness, "NULL_PAIRS", 2)
    return project


def run(*words: str, pytest_words: tuple[str, ...] = ()) -> int:
    return main(["gate", "--base", "HEAD~1", "--head", "HEAD", *QUICK, *words, *PYTEST, *pytest_words])


def test_a_regression_is_exit_code_1_and_every_report_is_written(
    in_project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_only = BENCHMARKS.partition("def test_resize")[0]
    in_project.commit(src_layout(**{"benchmarks/test_jobs.py": decode_only}))
    in_project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    assert run("--report", str(tmp_path / "report")) == 1
    out = capsys.readouterr().out
    assert "1 regressed" in out
    assert "chance of any false alarm in this gate: at most 60 %" in out
    assert "perfsuite gate --base 'HEAD~1' --head HEAD" in out
    assert "::error file=benchmarks/test_jobs.py,line=8," in out
    assert {path.name for path in (tmp_path / "report").iterdir()} >= {
        "gate.json",
        "gate.md",
        "gate.html",
        "gate.xml",
    }
    report = json.loads((tmp_path / "report" / "gate.json").read_text())
    assert report["exit_code"] == 1
    assert report["base"]["commit"] != report["head"]["commit"]
    assert "regressed" in (tmp_path / "summary.md").read_text()
    assert "exit-code=1" in (tmp_path / "outputs").read_text()


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ({"benchmarks/test_jobs.py": ""}, {"README": "none is collected"}),
        ({"benchmarks/test_jobs.py": SKIPPED}, {"README": "all are skipped"}),
        ({}, {"benchmarks/test_jobs.py": "# all of base are missing\n"}),
    ],
    ids=["none", "skipped", "missing"],
)
def test_a_gate_that_compared_nothing_is_red(
    in_project: Project, base: dict[str, str], head: dict[str, str]
) -> None:
    in_project.commit(src_layout(**base))
    in_project.commit(head)
    assert run() == 12


def test_the_same_commit_on_both_sides_is_a_usage_error(
    in_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    in_project.commit(src_layout())
    assert main(["gate", "--base", "HEAD", *PYTEST]) == 2
    assert "--null" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--base", "nowhere"], ["--base", "HEAD", "--head", "--option"]])
def test_an_unknown_revision_is_a_usage_error(
    in_project: Project, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    in_project.commit(src_layout())
    words = [w.replace("--head", "--head=--option") for w in words if w != "--option"]
    assert main(["gate", *words]) == 2
    assert "commit" in capsys.readouterr().err


def test_outside_a_repository_it_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["gate", "--base", "main"]) == 2
    assert "not a git repository" in capsys.readouterr().err


def test_a_failed_preparation_shows_its_output(
    in_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    in_project.commit(src_layout())
    in_project.commit({"README": "1"})
    assert run("--prepare", "python3 -c 'raise SystemExit(\"no compiler\")'") == 2
    assert "no compiler" in capsys.readouterr().err


def test_a_quarantined_benchmark_does_not_fail_the_gate(in_project: Project) -> None:
    decode_only = BENCHMARKS.partition("def test_resize")[0]
    entry = (
        '[project]\nname = "toy"\nversion = "1"\n[[tool.perfsuite.gate.quarantine]]\n'
        'test = "benchmarks/test_jobs.py::test_decode"\nreason = "known"\nexpires = 2999-01-01\n'
    )
    in_project.commit(src_layout(**{"benchmarks/test_jobs.py": decode_only, "pyproject.toml": entry}))
    in_project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    assert run() == 0


TOLERANCES = """
[[tool.perfsuite.gate.tolerances]]
test = "benchmarks/test_jobs.py::test_decode"
tolerance = {}
reason = "reads from disk"
expires = 2999-01-01
"""


@pytest.mark.parametrize("written", ["nan", "inf", "-0.1", "true", '"0.05"'])
def test_a_tolerance_that_is_no_number_is_a_usage_error_and_nothing_runs(
    in_project: Project, written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = src_layout()
    files["pyproject.toml"] += TOLERANCES.format(written)
    in_project.commit(files)
    in_project.commit({"src/toy/jobs.py": jobs(decode=0.003)})
    assert run() == 2
    err = capsys.readouterr().err
    for text in ("pyproject.toml", "test_decode: tolerance: ", "expected a number of 0 or more and below 1"):
        assert text in err
    assert "Traceback" not in err


@pytest.mark.parametrize("written", ["float('nan')", "float('inf')", "-0.1", "True", "'0.05'", "None", "1"])
def test_a_marker_that_is_no_tolerance_is_a_usage_error(
    in_project: Project, written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    marked = BENCHMARKS.replace("def test_decode", f"@pytest.mark.tolerance({written})\ndef test_decode")
    in_project.commit(src_layout(**{"benchmarks/test_jobs.py": marked}))
    in_project.commit({"src/toy/jobs.py": jobs(decode=0.003)})
    assert run() == 2
    err = capsys.readouterr().err
    assert "benchmarks/test_jobs.py:8: benchmarks/test_jobs.py::test_decode: mark.tolerance: " in err
    assert "expected a number of 0 or more and below 1" in err


def test_an_invalid_marker_in_base_does_not_prevent_head_from_fixing_it(in_project: Project) -> None:
    """Base's marker does not count where head removed it: the slowdown exceeds the default tolerance."""
    decode_only = BENCHMARKS.partition("def test_resize")[0]
    marked = decode_only.replace("def test_decode", "@pytest.mark.tolerance(float('nan'))\ndef test_decode")
    in_project.commit(src_layout(**{"benchmarks/test_jobs.py": marked}))
    in_project.commit({"benchmarks/test_jobs.py": decode_only, "src/toy/jobs.py": jobs(decode=0.003)})
    assert run() == 1


@pytest.mark.parametrize("command", ["gate --base main", "doctor", "compare a b"])
@pytest.mark.parametrize("option", ["--alpha", "--tolerance"])
@pytest.mark.parametrize("written", ["nan", "inf", "-inf", "-0.1", "1"])
def test_no_command_accepts_a_judging_option_out_of_range(
    command: str,
    option: str,
    written: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), f"{option}={written}"])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert option in err
    assert written in err
    assert "expected" in err


@pytest.mark.parametrize(
    "words",
    [
        "gate --base main --mde nan",
        "gate --base main --time-budget nan",
        "gate --base main --hang-timeout 0",
        "gate --base main --max-pairs 0",
        "bisect --good a --bad b t --alpha nan",
        "compare a b --mde nan",
        "baseline prune --older-than nan",
        "baseline prune --older-than 1e300",
    ],
)
def test_no_command_accepts_another_number_out_of_range(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err
