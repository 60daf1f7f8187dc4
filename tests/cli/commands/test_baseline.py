"""`perfsuite baseline`: accepting, listing and pruning, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.store.baselines import BaselineStore
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import HERE, a_run

REFERENCE = f"{HERE.fingerprint}/main"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for number in range(5):
        run = a_run(
            seconds={"test_a": 0.01 + number * 1e-6, "test_b": 3e-7}, created_at=f"2026-08-01T12:0{number}"
        )
        RunStore().save(run, {"machine_info": {"node": "x"}})
    return tmp_path


def test_a_baseline_is_accepted_listed_shown_and_pruned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "list"]) == 0
    assert "no baselines yet" in capsys.readouterr().out
    assert main(["baseline", "accept", "main"]) == 0
    assert f"accepted as benchmarks/baselines/{REFERENCE}.json: runs: main, 5 runs" in capsys.readouterr().out
    assert main(["baseline", "list"]) == 0
    out = capsys.readouterr().out
    assert REFERENCE in out
    assert "5 + 0" in out
    assert main(["baseline", "show", REFERENCE]) == 0
    out = capsys.readouterr().out
    assert "test_a" in out
    assert "10 ms/call" in out
    assert "300 ns/call" in out
    assert main(["baseline", "prune", REFERENCE, "--dry-run"]) == 0
    assert "would remove" in capsys.readouterr().out
    assert BaselineStore().list() == [REFERENCE]
    assert main(["baseline", "prune", REFERENCE]) == 0
    assert BaselineStore().list() == []


@pytest.mark.parametrize(("reference", "asks_for_more"), [("0001", True), ("main", False)])
def test_accepting_says_how_many_runs_a_comparison_needs(
    reference: str, asks_for_more: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["baseline", "accept", reference]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "this suite needs 5 runs of each side, in turns" in out
    assert "pytest benchmarks --perf-repeat 5 --perf-repeat-against c0ffee perfsuite compare" in out
    assert (
        "to add 5 in one series: pytest benchmarks --perf-repeat 5 --perf-save main" in out
    ) == asks_for_more


def test_one_run_has_no_spread_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "accept", "0001"]) == 0
    assert main(["baseline", "show", REFERENCE]) == 0
    assert "one run" in capsys.readouterr().out


def test_a_refusal_states_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "accept", "main"]) == 0
    for number in range(5):  # in turns with the runs of main
        seconds, created_at = {"test_a": 0.02, "test_b": 3e-7}, f"2026-08-01T12:0{number}:30"
        RunStore().save(a_run("slow", "c9", seconds=seconds, dirty=True, created_at=created_at), {})
    assert main(["baseline", "accept", "slow@5", "--name", "main"]) == 13
    assert "uncommitted changes" in capsys.readouterr().err
    assert main(["baseline", "accept", "slow@5", "--name", "main", "--allow-dirty"]) == 13
    assert "test_a time regressed" in capsys.readouterr().err
    assert main(["baseline", "accept", "slow@5", "--name", "../main", "--allow-dirty"]) == 2


def test_a_damaged_baseline_is_listed_as_unreadable(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["baseline", "accept", "main"]) == 0
    (project / "benchmarks" / "baselines" / f"{HERE.fingerprint}" / "other.json").write_text("{}")
    assert main(["baseline", "list"]) == 13
    out = capsys.readouterr().out
    assert REFERENCE in out
    assert "unreadable:" in out


def test_pruning_without_a_name_or_an_age_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "prune"]) == 2
    assert main(["baseline", "prune", "--older-than", "100000"]) == 0
    assert "no baseline is that old" in capsys.readouterr().out
