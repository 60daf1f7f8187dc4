"""`perfsuite compare` on invented stores: output and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.measure.measurement import Environment
from perfsuite.store.baselines import BaselineStore
from perfsuite.store.runs import RunStore
from tests.cli.exit_code import exit_code_of
from tests.store.sample_runs import HERE, a_run


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def save(
    name: str, commit: str, seconds: dict[str, float], runs: int = 5, counters: dict[str, int] | None = None
) -> None:
    for number in range(runs):
        jittered = {key: value * (1 + 0.001 * (number % 3)) for key, value in seconds.items()}
        at = f"2026-08-01T12:{number:02d}:{len(name):02d}"
        RunStore().save(a_run(name, commit, seconds=jittered, counters=counters, created_at=at), {})


BEFORE = {"test_a": 0.01, "test_b": 0.02}


@pytest.mark.parametrize(
    ("after", "options", "code", "message"),
    [
        (BEFORE, [], 0, "2 kept"),
        ({"test_a": 0.012, "test_b": 0.02}, [], 1, "1 regressed"),
        ({"test_a": 0.012, "test_b": 0.02}, ["--tolerance", "25%"], 0, "2 kept"),
        ({"test_a": 0.008, "test_b": 0.02}, [], 0, "1 improved"),
        ({"test_a": 0.01}, [], 12, "1 missing"),
        ({"test_a": 0.01, "test_new": 0.02}, ["--rename", "test_b=test_new"], 0, "2 kept"),
        ({"test_c": 0.01}, [], 12, "2 missing"),
        (BEFORE, ["--mde", "0.001", "--tolerance", "0"], 10, "2 unclear"),
    ],
)
def test_the_summary_and_the_exit_code_agree(
    after: dict[str, float], options: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save("main", "c0", BEFORE)
    save("head", "c1", after)
    assert main(["compare", "main", "head", *options]) == code
    out = capsys.readouterr().out
    assert message in out
    assert "A: main, 5 runs of c0" in out


def test_two_plain_files_of_pytest_benchmark(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, median in (("a.json", 1.0), ("b.json", 2.0)):
        run = {"benchmarks": [{"fullname": "t", "stats": {"median": median}}], "datetime": f"2026{name}"}
        (project / name).write_text(json.dumps(run))
    assert main(["compare", "a.json", "b.json"]) == 10
    assert "take 4 more runs of each side, in turns" in " ".join(capsys.readouterr().out.split())


def test_folders_of_plain_files(project: Path) -> None:
    for folder, median in (("a", 1.0), ("b", 2.0)):
        (project / folder).mkdir()
        for number in range(5):
            run = {
                "benchmarks": [{"fullname": "t", "stats": {"median": median + number / 1000}}],
                "datetime": f"2026-{number}{folder}",  # in turns
            }
            (project / folder / f"{number}.json").write_text(json.dumps(run))
    assert main(["compare", "a", "b"]) == 1
    assert main(["compare", "b", "a"]) == 0


def test_against_the_baseline_of_this_environment(capsys: pytest.CaptureFixture[str]) -> None:
    save("head", "c1", {"test_a": 0.012, "test_b": 0.02})
    assert main(["compare", "baseline", "head"]) == 13
    assert "accept one with" in capsys.readouterr().err
    save("main", "c0", BEFORE)
    BaselineStore().accept(RunStore().select("main"))
    assert main(["compare", "baseline", "head"]) == 1
    assert main(["compare", "baseline:main", "head"]) == 1
    assert main(["compare", "baseline:nightly", "head"]) == 13
    assert main(["compare", "head", "baseline"]) == 13


def test_times_of_another_environment_are_unclear_but_counters_are_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = Environment({**HERE.hard, "cpu": "elsewhere"})
    RunStore().save(a_run("main", counters={"casts": 2}), {})
    RunStore().save(a_run("head", environment=there, counters={"casts": 2}), {})
    assert main(["compare", "main", "head"]) == 10
    assert "cpu invented against elsewhere" in " ".join(capsys.readouterr().out.split())
    RunStore().save(a_run("more", environment=there, counters={"casts": 3}), {})
    assert main(["compare", "main", "more"]) == 1


def test_a_run_against_itself_compares_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    save("main", "c0", BEFORE)
    assert main(["compare", "main", "main"]) == 12
    assert "share runs" in capsys.readouterr().err


def test_reports_are_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("main", "c0", BEFORE)
    save("head", "c1", {"test_a": 0.012, "test_b": 0.02})
    assert main(["compare", "main", "head", "--json", "out/v.json", "--markdown", "v.md"]) == 1
    report = json.loads((project / "out" / "v.json").read_text())
    assert report["exit_code"] == 1
    assert report["verdicts"][0]["workload"] == "test_a"
    assert "### Stored runs: 1 regressed" in (project / "v.md").read_text()
    capsys.readouterr()
    assert main(["compare", "main", "head", "--json", "-"]) == 1
    assert json.loads(capsys.readouterr().out) == report


def test_a_damaged_run_in_the_history_is_reported_and_skipped(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save("main", "c0", BEFORE)
    save("head", "c1", BEFORE)
    (project / ".perfsuite/runs/0099_other.json").write_text("{")
    assert main(["compare", "main", "head"]) == 0
    assert "left out of the history: .perfsuite/runs/0099_other.json: truncated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["gone", "gone"], 13, "holds no run 'gone'"),
        (["gone.json", "b.json"], 13, "b.json: does not exist"),
        (["main@0", "main@x"], 2, "no number of runs"),
        (["a", "."], 13, "without runs"),
    ],
)
def test_errors_are_printed_without_a_traceback(
    words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *words]) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--alpha", "0"], "0, expected a number above 0 and below 1"),
        (["--alpha", "x"], "x, expected a number above 0 and below 1"),
        (["--alpha", "nan"], "nan, expected a number above 0 and below 1"),
        (["--tolerance", "2"], "2, expected a number of 0 or more and below 1"),
        (["--rename", "ab"], "expected OLD=NEW"),
    ],
)
def test_options_out_of_range_are_usage_errors(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(["compare", "a", "b", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_json_file_that_cannot_be_written_is_a_usage_error(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save("main", "c0", BEFORE)
    save("head", "c1", BEFORE)
    (project / "file").write_text("")
    assert main(["compare", "main", "head", "--json", "file/v.json"]) == 2
    assert "--json: file/v.json: cannot be written" in capsys.readouterr().err


def test_names_with_an_equals_sign_are_renamed_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    save("main", "c0", {"test[n=1]": 0.01})
    save("head", "c1", {"test[m=1]": 0.01})
    assert main(["compare", "main", "head", "--rename", "test[n=1]==test[m=1]"]) == 0


def test_too_few_runs_name_the_number_and_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for name, commit in (("main", "c0ffee0000001234"), ("head", "c1")):
        save(name, commit, {"benchmarks/io/test_a.py::test_a": 0.01, "benchmarks/test_b.py::test_b": 1.0}, 1)
    assert main(["compare", "main", "head"]) == 10
    out = " ".join(capsys.readouterr().out.split())
    assert "this suite needs 5 runs of each side, in turns" in out
    command = "pytest benchmarks --perf-repeat 5 --perf-repeat-against c0ffee000000 "
    assert f"{command}perfsuite compare c0ffee000000 head" in out


def test_runs_that_suffice_ask_for_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    """The negative control."""
    save("main", "c0", BEFORE)
    save("head", "c1", BEFORE)
    assert main(["compare", "main", "head"]) == 0
    assert "--perf-repeat" not in capsys.readouterr().out
