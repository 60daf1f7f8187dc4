"""Sixteen writers lose nothing; a writer that is killed leaves a store that reads."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfsuite.store.runs import RunStore

WRITERS, RUNS = 16, 50

WRITE = """
import sys
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import a_run
store = RunStore(sys.argv[1])
run = a_run("main", commit=sys.argv[2], seconds={f"test_{n}": 0.1 for n in range(int(sys.argv[4]))})
print("ready", flush=True)
for _ in range(int(sys.argv[3])):
    print(store.save(run, {}), flush=True)
"""


def writer(root: Path, who: str, runs: int, workloads: int = 1) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITE, str(root), who, str(runs), str(workloads)]
    here = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": here}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_sixteen_concurrent_writers_lose_no_run(tmp_path: Path) -> None:
    writers = [writer(tmp_path, f"writer{n}", RUNS) for n in range(WRITERS)]
    said = [each.communicate()[0].split()[1:] for each in writers]
    names = [name for each in said for name in each]
    assert [each.returncode for each in writers] == [0] * WRITERS
    assert len(set(names)) == WRITERS * RUNS
    store = RunStore(tmp_path)
    assert store.list() == sorted(names)
    for number, mine in enumerate(said):
        assert {store.load(name).commit for name in mine} == {f"writer{number}"}
    assert not list(tmp_path.glob(".tmp-*"))


def killed_at_random(root: Path, points: int, seed: int) -> None:
    """Kill a writer at a random moment of its work, look at the store, and go on with the next."""
    moments = random.Random(seed)
    reported = 0
    for _ in range(points):
        child = writer(root, "killed", runs=10_000, workloads=200)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0, 0.15))
        child.send_signal(signal.SIGKILL)
        reported += len(child.communicate()[0].splitlines()[:-1])
        store = RunStore(root)
        assert len(store.list()) >= reported
        if store.list():
            assert len(store.load(store.list()[-1]).measurements) == 200
    damaged: list[str] = []
    store = RunStore(root, on_message=damaged.append)
    assert len(list(store.history())) == len(store.list())
    assert [line for line in damaged if "left out" in line] == []


def test_a_killed_writer_leaves_a_readable_store(tmp_path: Path) -> None:
    killed_at_random(tmp_path, points=24, seed=1)


@pytest.mark.slow
def test_two_hundred_killed_writers_leave_a_readable_store(tmp_path: Path) -> None:
    killed_at_random(tmp_path, points=200, seed=2)
