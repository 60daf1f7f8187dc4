"""A store keeps what it was given, whoever else writes, and finds it again by every kind of reference."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from perfsuite.errors import StoreError, UsageError
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import a_run


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def test_a_stored_run_is_loaded_unchanged(store: RunStore) -> None:
    run = a_run("main")
    assert store.load(store.save(run, {"datetime": "2026-08-01"})) == run


def test_a_part_of_a_suite_and_broken_limits_are_stored(store: RunStore) -> None:
    run = replace(a_run("main"), selection="only a::b was run", broken_limits=("test_decode",))
    assert store.load(store.save(run, {})) == run


def test_the_default_folder_ignores_itself_in_git(tmp_path: Path) -> None:
    git = shutil.which("git")
    assert git is not None
    subprocess.run([git, "init", "-q"], cwd=tmp_path, check=True)
    RunStore(tmp_path / ".perfsuite" / "runs").save(a_run(), {})
    status = [git, "status", "--porcelain", "--untracked-files=all"]
    assert subprocess.run(status, cwd=tmp_path, capture_output=True, check=True).stdout == b""
    RunStore(tmp_path / "runs").save(a_run(), {})
    shown = subprocess.run(status, cwd=tmp_path, capture_output=True, check=True).stdout
    assert b"runs/0001_main.json" in shown, "a store elsewhere is the user's own"


def test_saving_never_overwrites(store: RunStore) -> None:
    names = [store.save(a_run("main", commit=f"c{n}"), {}) for n in range(3)]
    assert names == ["0001_main", "0002_main", "0003_main"] == store.list()
    assert [store.load(name).commit for name in names] == ["c0", "c1", "c2"]


def test_references(store: RunStore) -> None:
    for name, commit in [("main", "c0"), ("main", "c1"), ("head", "c2"), ("main", "c1")]:
        store.save(a_run(name, commit=commit), {})
    assert store.load("0001").commit == "c0"
    assert store.load("0003_head").commit == "c2"
    assert store.latest().commit == "c1"
    assert store.latest("head").commit == "c2"
    assert [run.commit for run in store.select("main")] == ["c1", "c1"]
    assert [run.commit for run in store.select("main@3")] == ["c0", "c1", "c1"]
    assert store.load(Path(store.root) / "0001_main.json").commit == "c0"
    assert store.load((Path(store.root) / "0001_main.json").absolute().as_uri()).commit == "c0"
    assert len(store.select(Path(store.root))) == 4


def test_runs_of_a_dirty_tree_are_not_replicates(store: RunStore) -> None:
    for _ in range(3):
        store.save(a_run("head", dirty=True), {})
    assert len(store.select("head")) == 1


@pytest.mark.parametrize("name", ["", "..", "../main", "a/b", ".hidden", "0007", "a b", "x" * 101, "[red]"])
def test_names_that_are_unfit_for_files_are_refused(store: RunStore, name: str) -> None:
    with pytest.raises(UsageError, match="no name for a run"):
        store.save(a_run(name), {})
    assert store.list() == []


def test_an_unknown_name_is_refused_with_the_stored_ones(store: RunStore) -> None:
    store.save(a_run("main"), {})
    with pytest.raises(StoreError, match="holds no run 'mian'; it holds main"):
        store.load("mian")
