"""`pytest --perf-repeat N`: the order of the runs, what is said about them, and how a series ends."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from perfsuite.pytest_plugin.options import SERIES_VARIABLE
from perfsuite.pytest_plugin.series import FinishedRun, SeriesSide, StartRun, order_of_runs, take_series
from perfsuite.store.runs import RunStore
from tests.pytest_plugin.conftest import Run
from tests.store.sample_runs import a_run

MAIN, HEAD = (SeriesSide(name, ("pytest",), Path(), {SERIES_VARIABLE: "s1"}) for name in ("main", "head"))
PASSED = FinishedRun(0, "...\n==== 3 passed in 2.11s ====\n")
PROJECT = {
    "pyproject.toml": '[project]\nname = "toy"\nversion = "1"\n',
    ".gitignore": ".perfsuite\n__pycache__\n.benchmarks\n.pytest_cache\n",
    "src/toy.py": "def size(): return 1\n",
    "benchmarks/test_toy.py": (
        "from toy import size\n"
        "from perfsuite.stages import count_event\n"
        "def test_toy(perf): perf(lambda: count_event('toys', size()))\n"
    ),
}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def storing(store: RunStore, finished: FinishedRun = PASSED) -> StartRun:
    """A run that stores something, as a process would."""

    def start(side: SeriesSide) -> FinishedRun:
        store.save(replace(a_run(side.name, dirty=True), series=side.environment[SERIES_VARIABLE]), {})
        return finished

    return start


def test_the_sides_take_turns() -> None:
    names = [side.name for side in order_of_runs([MAIN, HEAD], 4)]
    assert names == ["main", "head", "head", "main", "main", "head", "head", "main"]


def test_a_series_says_how_to_compare_it(store: RunStore) -> None:
    lines: list[str] = []
    assert take_series([MAIN, HEAD], 5, store, storing(store), lines.append) == 0
    assert lines[0] == "5 runs of each side, in turns, each in a fresh process: main and head"
    assert lines[1] == "run 1 of 10, main: 3 passed in 2.11s"
    assert lines[-1].startswith(
        "stored: 5 of main and 5 of head; compare them with\n  perfsuite compare main head"
    )


def test_a_series_of_a_dirty_tree_is_selected_by_its_name(store: RunStore) -> None:
    store.save(a_run("head", dirty=True), {})  # of no series
    take_series([HEAD], 3, store, storing(store), lambda _: None)
    assert len(store.select("head")) == 3


def test_too_few_runs_for_a_verdict_are_announced(store: RunStore) -> None:
    lines: list[str] = []
    take_series([MAIN, HEAD], 4, store, storing(store), lines.append)
    assert lines[0].endswith("a verdict at a chance of error of 1% needs 5")


def test_one_side_becomes_a_baseline(store: RunStore) -> None:
    lines: list[str] = []
    take_series([MAIN], 5, store, storing(store), lines.append)
    assert "perfsuite baseline accept main" in lines[-1]


def test_a_failed_test_does_not_end_a_series(store: RunStore) -> None:
    lines: list[str] = []
    failing = storing(store, FinishedRun(1, "E  the limit\n=== 1 failed in 1s ===\n"))
    assert take_series([HEAD], 3, store, failing, lines.append) == 1
    assert len(store.list()) == 3
    assert sum("E  the limit" in line for line in lines) == 1  # once, not for every run


@pytest.mark.parametrize(
    "finished", [FinishedRun(4, "no such file"), FinishedRun(0, "measuring is disabled")]
)
def test_a_run_that_stores_nothing_ends_the_series(store: RunStore, finished: FinishedRun) -> None:
    lines: list[str] = []
    code = take_series([MAIN, HEAD], 5, store, lambda side: finished, lines.append)
    assert code == (finished.status or 5)
    assert finished.output in lines
    assert "main: exit status" in lines[-1]


def test_ctrl_c_keeps_the_runs_before(store: RunStore) -> None:
    lines: list[str] = []
    start = storing(store)

    def interrupted(side: SeriesSide) -> FinishedRun:
        if len(store.list()) == 2:
            raise KeyboardInterrupt
        return start(side)

    assert take_series([MAIN, HEAD], 5, store, interrupted, lines.append) == 2
    assert lines[-1] == "interrupted: 2 of 10 runs are stored"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--perf-repeat=0"], "*--perf-repeat: 0, expected 1 to 1000 runs*"),
        (["--perf-repeat-against=main"], "*no number of runs, expected --perf-repeat N*"),
        (["--perf-repeat=2", "--perf-repeat-against=--x"], "*looks like an option*"),
        (["--perf-repeat=2", "--perf-save=a/b"], "*is no name for a run*"),
    ],
)
def test_wrong_options_are_refused(
    run: Run, pytester: pytest.Pytester, options: list[str], message: str
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=pytester.path, check=True)  # noqa: S607
    result = run("def test_it(perf): perf(lambda: None)", *options, stores=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_run_that_is_not_stored_is_refused(run: Run) -> None:
    result = run("def test_it(perf): perf(lambda: None)", "--perf-repeat=2")
    result.stderr.fnmatch_lines(["*--perf-no-save is set*"])


def test_a_run_of_a_series_does_not_repeat_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--perf-repeat` may be in `addopts`, which every run reads."""
    monkeypatch.setenv(SERIES_VARIABLE, "s1")
    run("def test_it(perf): perf(lambda: sum([1]))", "--perf-repeat=2").assert_outcomes(passed=1)


def test_both_sides_measure_their_own_code(tmp_path: Path) -> None:
    """Real processes: the uncommitted change is measured on one side only, and no worktree remains."""
    project = tmp_path / "project"
    for name, text in PROJECT.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    author = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "one"]):
        subprocess.run(["git", *arguments], cwd=project, check=True)  # noqa: S607
    (project / "src/toy.py").write_text("def size(): return 2\n")
    command = [sys.executable, "-m", "pytest", "benchmarks", "-o", "pythonpath=src"]
    command += ["--perf-repeat=1", "--perf-repeat-against=HEAD", "--benchmark-max-time=0.01"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    store = RunStore(project / ".perfsuite/runs")
    counts = {}
    for name in ("HEAD-base", "head"):
        (stored,) = store.select(name)
        counts[name] = [measurement.counters["toys"] for measurement in stored.measurements.values()]
    assert counts == {"HEAD-base": [1], "head": [2]}
    worktrees = subprocess.run(
        ["git", "worktree", "list"],  # noqa: S607
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(worktrees.stdout.splitlines()) == 1
