"""What a reference names, and which other runs are its history: each run counts once."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.errors import NothingMeasuredError, StoreError
from perfsuite.judge import acceptance, stored_runs
from perfsuite.judge.run_table import HistoricalRun
from perfsuite.judge.stored_runs import ComparisonReport
from perfsuite.store.baselines import BaselineStore
from perfsuite.store.references import resolve, resolve_sides
from perfsuite.store.run import Run
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import HERE, a_run


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture
def baselines(tmp_path: Path) -> BaselineStore:
    return BaselineStore(tmp_path / "baselines")


def save(store: RunStore, commit: str, day: int, name: str = "main") -> list[Run]:
    runs = [
        a_run(
            name=name,
            commit=commit,
            seconds={"test_decode": 0.01 + 0.00001 * (number % 3)},
            created_at=f"2026-08-{day:02d}T12:00:{number:02d}+00:00",
        )
        for number in range(5)
    ]
    for run in runs:
        store.save(run, {})
    return runs


def dates(runs: list[HistoricalRun]) -> list[str]:
    return [run.created_at for run in runs]


def test_a_run_in_the_store_and_in_the_baseline_is_history_once(
    store: RunStore, baselines: BaselineStore
) -> None:
    """Accepted runs stay in the store. Counted twice, they would shorten every confidence interval."""
    accepted = [save(store, commit, day) for day, commit in enumerate(("c0", "c1"), 1)]
    for runs in accepted:
        baselines.accept(runs)
    others = save(store, "c2", day=3, name="nightly")
    save(store, "c3", day=4, name="head")
    old, new = resolve_sides("baseline", "head", store, baselines)
    history = old.history(store, other_side=new.runs)
    assert dates([*history]) == dates([*accepted[0], *others])


def test_accepting_counts_each_run_of_the_history_once(
    store: RunStore, baselines: BaselineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest, older, newest = (save(store, commit, day) for day, commit in enumerate(("c0", "c1", "c2"), 1))
    baselines.accept(oldest)
    baselines.accept(older)
    histories = []

    def compare(
        old: list[Run], new: list[Run], history: list[HistoricalRun], settings: None
    ) -> ComparisonReport:
        histories.append(dates(history))
        return stored_runs.compare_runs(old, new, history, settings)

    monkeypatch.setattr(acceptance, "compare_runs", compare)
    baselines.accept(newest, history=store.history(HERE.fingerprint))
    assert histories == [dates([*oldest])]


def test_without_a_baseline_the_error_repeats_its_name(store: RunStore, baselines: BaselineStore) -> None:
    with pytest.raises(StoreError, match=r"no baseline called nightly .*baseline accept nightly"):
        resolve("baseline:nightly", HERE, store, baselines)
    with pytest.raises(StoreError, match=r"no baseline for environment .*baseline accept NAME"):
        resolve("baseline", HERE, store, baselines)


def test_a_name_is_resolved_in_the_store(store: RunStore, baselines: BaselineStore) -> None:
    runs = save(store, "c0", day=1)
    assert resolve("main", HERE, store, baselines).runs == tuple(runs)


def test_sides_that_share_a_run_are_refused(store: RunStore, baselines: BaselineStore) -> None:
    save(store, "c0", day=1)
    with pytest.raises(NothingMeasuredError, match="share runs"):
        resolve_sides("main", "main", store, baselines)
    with pytest.raises(StoreError, match="can only be A"):
        resolve_sides("main", "baseline", store, baselines)
