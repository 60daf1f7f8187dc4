"""The table of each environment: one row a commit, one column a workload."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from perfsuite.measure.measurement import Environment
from perfsuite.store.history import EnvironmentHistory, collect_histories
from perfsuite.store.run import Run
from perfsuite.store.runs import RunStore
from perfsuite.store.summaries import summarize_run
from tests.store.sample_runs import HERE, a_run

THERE = Environment({**HERE.hard, "cpu": "elsewhere"})


def collect(*runs: Run) -> list[EnvironmentHistory]:
    return collect_histories(summarize_run(run, f"{number:04d}_main") for number, run in enumerate(runs, 1))


def test_rows_are_commits_in_order_and_gaps_are_nan() -> None:
    (history,) = collect(
        a_run(commit="c0", seconds={"b": 2.0}),
        a_run(commit="c1", seconds={"a": 1.0, "b": 3.0}),
    )
    assert [commit.commit for commit in history.commits] == ["c0", "c1"]
    assert history.workloads == ("a", "b")
    np.testing.assert_array_equal(history.seconds_per_item, [[np.nan, 2.0], [1.0, 3.0]])


def test_runs_of_one_commit_are_their_median() -> None:
    runs = [a_run(commit="c0", seconds={"a": value}) for value in (1.0, 9.0, 2.0)]
    (history,) = collect(
        *runs, a_run(commit="c1", seconds={"b": 5.0}), a_run(commit="c0", seconds={"b": 4.0})
    )
    assert history.columns(["a"])["a"][0] == 2.0
    assert history.columns(["b"])["b"].tolist() == [4.0, 5.0]
    assert len(history.commits[0].references) == 4
    (two,) = collect(*runs[:2])
    assert two.seconds_per_item.tolist() == [[5.0]]


def test_runs_without_a_commit_are_rows_of_their_own() -> None:
    (history,) = collect(a_run(commit=""), a_run(commit=""))
    assert [commit.label for commit in history.commits] == ["0001_main", "0002_main"]


def test_runs_with_uncommitted_changes_are_counted_and_left_out() -> None:
    (history,) = collect(a_run(commit="c0"), a_run(commit="c1", dirty=True))
    assert (history.runs, history.dirty_runs) == (1, 1)
    assert collect(a_run(dirty=True)) == []


def test_environments_are_apart_and_the_newest_is_last() -> None:
    histories = collect(a_run(), a_run(environment=THERE), a_run(commit="c1"))
    assert [history.fingerprint for history in histories] == [THERE.fingerprint, HERE.fingerprint]


def test_the_newest_commits() -> None:
    (history,) = collect(*(a_run(commit=f"c{number}") for number in range(5)))
    assert [commit.commit for commit in history.newest(2).commits] == ["c3", "c4"]
    assert history.newest(2).seconds_per_item.shape == (2, 1)


def test_a_store_is_read_without_keeping_its_summaries(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    for number in range(3):
        store.save(a_run(commit=f"c{number}"), {})
    store.save(a_run(commit="c3", complete=False), {})
    (tmp_path / ".summaries" / "0002_main.json").unlink()
    (tmp_path / "0005_main.json").write_text("{")
    messages: list[str] = []
    seen: list[tuple[int, int]] = []
    streamed = RunStore(tmp_path, messages.append).stream_history(lambda *count: seen.append(count))
    assert [each.commit for each in streamed] == ["c0", "c1", "c2"]
    assert "left out" in messages[0]
    assert seen == [(0, 5)]
    assert (tmp_path / ".summaries" / "0002_main.json").exists()
