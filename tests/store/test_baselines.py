"""What may become a baseline, and what later runs find there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perfsuite.errors import StoreError, UsageError
from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.store import schema
from perfsuite.store.baselines import MAX_RUNS, BaselineStore
from perfsuite.store.run import Run
from tests.store.sample_runs import HERE, a_run


@pytest.fixture
def baselines(tmp_path: Path) -> BaselineStore:
    return BaselineStore(tmp_path / "baselines")


def runs(commit: str, factor: float = 1.0, count: int = 5, day: int = 1, between: bool = False) -> list[Run]:
    """Runs of one day, a second apart; or half a second after each of the others of that day."""
    return [
        a_run(
            commit=commit,
            seconds={"test_decode": factor * (0.01 + 0.00001 * (number % 3))},
            created_at=f"2026-08-{day:02d}T12:00:{number:02d}.{5 * between}+00:00",
        )
        for number in range(count)
    ]


def test_accepted_runs_are_returned_for_their_environment(baselines: BaselineStore) -> None:
    accepted = runs("c0")
    assert baselines.accept(accepted) == f"{HERE.fingerprint}/main"
    found = baselines.find(HERE)
    assert found is not None
    assert found.runs == tuple(accepted)
    assert found.environment == HERE
    assert baselines.find(Environment({"cpu": "another"})) is None
    assert baselines.find(HERE, "nightly") is None


def test_the_newest_of_several_names_is_returned(baselines: BaselineStore) -> None:
    baselines.accept(runs("c0", day=2), "nightly")
    baselines.accept(runs("c1", day=1), "main")
    for name, expected in ((None, "nightly"), ("main", "main")):
        found = baselines.find(HERE, name)
        assert found is not None
        assert found.name == expected


def test_kept_runs_become_the_baseline_and_the_earlier_ones_stay(baselines: BaselineStore) -> None:
    baselines.accept(runs("c0"))
    baselines.accept(runs("c1", day=2))
    found = baselines.find(HERE)
    assert found is not None
    assert ({run.commit for run in found.runs}, {run.commit for run in found.earlier_runs}) == (
        {"c1"},
        {"c0"},
    )


def test_more_runs_of_the_same_commit_are_added(baselines: BaselineStore) -> None:
    baselines.accept(runs("c0", count=1))
    baselines.accept(runs("c0", count=3, day=2))
    found = baselines.find(HERE)
    assert found is not None
    assert len(found.runs) == 4
    with pytest.raises(UsageError, match="accepted these runs already"):
        baselines.accept(runs("c0", count=3, day=2))


def test_a_baseline_has_a_maximum_number_of_runs(baselines: BaselineStore) -> None:
    for day in range(1, 12):
        baselines.accept(runs(f"c{day}", day=day))
    found = baselines.find(HERE)
    assert found is not None
    assert len(found.runs) + len(found.earlier_runs) == MAX_RUNS
    assert found.runs[-1].commit == "c11"


@pytest.mark.parametrize(
    ("later", "found"),
    [
        (runs("c1", factor=1.1, between=True), "regressed"),
        (runs("c0", factor=1.1, between=True), "regressed"),  # of the same commit, too
        (runs("c1", factor=1.1, day=2), "unclear .*it may be drift"),
        (runs("c0", factor=1.1, day=2), "unclear .*it may be drift"),
        ([a_run(commit="c1", seconds={"test_other": 0.01})] * 5, "missing"),
        (
            [
                a_run(
                    commit="c1",
                    seconds={"test_decode": 0.01 * 3**number},
                    created_at=f"2026-09-0{number + 1}",
                )
                for number in range(5)
            ],
            "unclear",
        ),
    ],
)
def test_runs_that_are_not_kept_are_refused(later: list[Run], found: str, baselines: BaselineStore) -> None:
    baselines.accept(runs("c0"))
    before = baselines.load(baselines.list()[0])
    with pytest.raises(StoreError, match=rf"not accepted: .*{found}"):
        baselines.accept(later)
    assert baselines.load(baselines.list()[0]) == before


def test_a_new_name_does_not_excuse_a_regression(baselines: BaselineStore) -> None:
    baselines.accept(runs("c0"))
    slow = runs("c1", factor=1.2, between=True)
    with pytest.raises(StoreError, match=r"not accepted: .*regressed"):
        baselines.accept(slow, "q")
    assert baselines.list() == [f"{HERE.fingerprint}/main"]
    assert baselines.accept(runs("c1", factor=0.8, day=2), "q"), "the negative control"


def test_a_part_of_the_suite_is_refused(baselines: BaselineStore) -> None:
    partial = [replace(run, selection="3 benchmarks were left out") for run in runs("c0")]
    with pytest.raises(StoreError, match=r"a part of the suite \(3 benchmarks were left out\)"):
        baselines.accept(partial)


def test_a_run_with_a_broken_limit_is_refused(baselines: BaselineStore) -> None:
    *others, newest = runs("c0")
    with pytest.raises(StoreError, match=r"a limit is broken \(test_decode\)"):
        baselines.accept([*others[:2], replace(others[2], broken_limits=("test_decode",)), newest])


def counted(commit: str, opened_files: int = 1, count: int = 3) -> list[Run]:
    return [
        replace(
            run,
            measurements={
                "test_decode": Measurement("test_decode", (), counters={"opened_files": opened_files})
            },
        )
        for run in runs(commit, count=count, day=3)
    ]


def test_counted_runs_stay_beside_timed_ones(baselines: BaselineStore) -> None:
    baselines.accept(runs("c0"), "main")
    baselines.accept(counted("c0"), "counters")
    for is_timed, name in ((True, "main"), (False, "counters"), (None, "main")):
        found = baselines.find(HERE, is_timed=is_timed)
        assert found is not None
        assert (found.name, found.is_timed) == (name, name == "main")


@pytest.mark.parametrize("name", ["counters", "another"])
def test_a_counter_that_grew_is_refused(baselines: BaselineStore, name: str) -> None:
    baselines.accept(counted("c0"), "counters")
    with pytest.raises(StoreError, match="opened_files regressed"):
        baselines.accept(counted("c1", opened_files=2), name)
    baselines.accept(counted("c1"), name)


def test_a_slowdown_is_refused_whatever_counted_baselines_there_are(baselines: BaselineStore) -> None:
    baselines.accept(runs("c0"), "main")
    baselines.accept(counted("c0"), "counters")
    with pytest.raises(StoreError, match="not kept"):
        baselines.accept(runs("c1", factor=2, day=4), "another")
    with pytest.raises(StoreError, match="its runs are counted only, these are timed"):
        baselines.accept(runs("c1", factor=2, day=4), "counters")


def timed(commit: str, opened_files: int, day: int) -> list[Run]:
    """Timed runs with a counter."""
    return [
        a_run(commit=commit, counters={"opened_files": opened_files}, created_at=run.created_at)
        for run in runs(commit, day=day)
    ]


def test_counted_and_timed_runs_are_judged_by_the_counters_of_each_other(baselines: BaselineStore) -> None:
    main = f"{HERE.fingerprint}/main"
    baselines.accept(timed("c0", opened_files=1, day=1), "main")
    with pytest.raises(StoreError, match="opened_files regressed"):
        baselines.accept(counted("c1", opened_files=2), "counters")
    baselines.accept(counted("c1"), "counters")
    baselines.prune([main])
    with pytest.raises(StoreError, match="opened_files regressed"):
        baselines.accept(timed("c2", opened_files=2, day=5), "main")
    assert baselines.accept(timed("c2", opened_files=1, day=5), "main") == main


def test_few_counted_runs_are_refused(baselines: BaselineStore) -> None:
    with pytest.raises(StoreError, match="2 counted runs, expected 3"):
        baselines.accept(counted("c0", count=2))


def test_a_faster_run_is_accepted(baselines: BaselineStore) -> None:
    baselines.accept(runs("c0"))
    baselines.accept(runs("c1", factor=0.8, day=2))


def test_a_removed_workload_may_be_dropped(baselines: BaselineStore) -> None:
    baselines.accept(runs("c0"))
    other = [
        Run(
            **{
                **{f: getattr(run, f) for f in Run.__slots__},
                "measurements": a_run(seconds={"t": 1.0}).measurements,
            }
        )
        for run in runs("c1", day=2)
    ]
    baselines.accept(other, dropped=frozenset({"test_decode"}))


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ([a_run(complete=False)], "incomplete"),
        ([a_run(dirty=True)], "uncommitted changes"),
        ([a_run(commit="c0"), a_run(commit="c1")], "accept one commit"),
        ([a_run(environment=Environment({"cpu": "another"})), a_run()], "another environment"),
        ([Run("main", "2026", "c", False, HERE, {})], "measured nothing"),
    ],
)
def test_unfit_runs_are_refused(wrong: list[Run], found: str, baselines: BaselineStore) -> None:
    with pytest.raises(StoreError, match=found):
        baselines.accept(wrong)
    assert baselines.list() == []


def test_dirty_runs_are_accepted_only_with_the_option(baselines: BaselineStore) -> None:
    baselines.accept([a_run(dirty=True)], allow_dirty=True)
    assert len(baselines.list()) == 1


def test_a_damaged_baseline_is_named_and_not_changed(baselines: BaselineStore) -> None:
    reference = baselines.accept(runs("c0"))
    path = Path(baselines.root) / f"{reference}.json"
    path.write_bytes(path.read_bytes()[:-50])
    damaged = path.read_bytes()
    for act in (lambda: baselines.find(HERE), lambda: baselines.accept(runs("c1"))):
        with pytest.raises(StoreError, match="truncated"):
            act()
    assert path.read_bytes() == damaged


def test_a_baseline_in_the_folder_of_another_environment_is_refused(baselines: BaselineStore) -> None:
    elsewhere = Path(baselines.root) / "0123456789ab" / "main.json"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_bytes(schema.dump(a_run(), {}))
    with pytest.raises(StoreError, match="folder of another"):
        baselines.load("0123456789ab/main")


def test_pruning(baselines: BaselineStore) -> None:
    old = baselines.accept([a_run(created_at="2020-01-01")], "old")
    undated = baselines.accept([a_run(created_at="once")], "undated")
    assert baselines.prune(older_than_days=365, dry_run=True) == [old]
    assert baselines.list() == [old, undated]
    assert baselines.prune(older_than_days=365) == [old]
    assert baselines.list() == [undated]
    with pytest.raises(StoreError, match=r"holds no baseline 'x/y'"):
        baselines.prune(["x/y"])
    with pytest.raises(StoreError, match=r"leads out|holds no baseline"):
        baselines.prune(["../../etc/passwd"])
