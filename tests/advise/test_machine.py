"""Advice for a platform, on invented machines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfsuite.advise.machine import (
    MachineFacts,
    WorkerDemand,
    describe_machine,
    failure_advice,
    platform_advice,
)

LINUX = MachineFacts(
    platform="linux", cores=8, available_bytes=2**34, start_method="fork", shared_memory_bytes=2**30
)
PROCESSES = WorkerDemand(num_workers=4, uses_processes=True, bytes_ahead=2**24, peak_growth_bytes=2**28)
THREADS = replace(PROCESSES, uses_processes=False)


@pytest.mark.parametrize(
    ("machine", "demand", "words"),
    [
        (replace(LINUX, platform="win32", start_method="spawn"), PROCESSES, ["spawn", "__main__"]),
        (replace(LINUX, platform="darwin", start_method="spawn"), PROCESSES, ["spawn"]),
        (LINUX, PROCESSES, ["forkserver"]),
        (replace(LINUX, start_method="forkserver"), PROCESSES, []),
        (LINUX, THREADS, []),
        (LINUX, replace(PROCESSES, num_workers=0), []),
        (replace(LINUX, cores=2), THREADS, ["4 workers share 2 cores"]),
        (replace(LINUX, available_bytes=2**28), THREADS, ["lower num_workers, prefetch_factor"]),
        (replace(LINUX, shared_memory_bytes=2**24), PROCESSES, ["forkserver", "--shm-size"]),
        (replace(LINUX, shared_memory_bytes=None), PROCESSES, ["forkserver"]),
    ],
)
def test_each_platform_gets_its_own_advice(
    machine: MachineFacts, demand: WorkerDemand, words: list[str]
) -> None:
    text = " ".join(platform_advice(machine, demand))
    assert bool(text) == bool(words)
    assert all(word in text for word in words)


def test_a_failed_setting_is_named_with_a_way_out() -> None:
    (line,) = failure_advice({"8 processes +2": "worker killed"})
    assert line.startswith("8 processes +2 failed and is left out (worker killed): lower num_workers")


def test_this_machine_is_described() -> None:
    machine = describe_machine()
    assert machine.cores >= 1
    assert machine.available_bytes > 0
