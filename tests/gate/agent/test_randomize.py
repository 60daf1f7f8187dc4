"""What is taken out of a process's luck: where it runs, where its memory lies, who still spins."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
import threading
from typing import Any

import pytest

from perfsuite.gate.agent.randomize import (
    CpuTimes,
    HeapRandomizer,
    busy_threads,
    pinned_to_cores,
    wait_until_idle,
)
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.turns import ProcessPair

ME = threading.get_native_id()
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what threads do")
BEFORE = CpuTimes(10.0, 1.0, {ME: 5.0, 7: 5.0})


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (CpuTimes(11.0, 1.0, {ME: 6.0, 7: 5.0}), [ME]),
        (CpuTimes(12.0, 1.0, {ME: 6.0, 7: 6.0}), [ME, 7]),
        (CpuTimes(12.0, 1.0, {ME: 6.0, 7: 5.01, 9: 0.99}), [ME, 9]),
        (CpuTimes(12.0, 1.0, {ME: 6.0, 7: 5.0}), []),  # a second by threads that are gone
        (CpuTimes(11.0, 1.5, {ME: 6.0, 7: 5.0}), []),  # a child process worked
        (None, []),
    ],
)
def test_who_works_is_told_or_nobody_is(after: CpuTimes | None, found: list[int]) -> None:
    assert busy_threads(BEFORE, after, elapsed=1.0) == found


@linux
def test_a_living_child_process_means_that_nobody_is_pinned() -> None:
    """In a process of its own: other tests may have left a child in this one."""
    code = """
import subprocess, sys
from perfsuite.gate.agent.randomize import read_cpu_times

assert read_cpu_times() is not None
with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
    assert read_cpu_times() is None
    child.kill()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@linux
def test_threads_are_let_go_where_they_were_before() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    with pinned_to_cores([threading.get_native_id()], [core]):
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before


@linux
def test_a_thread_that_has_ended_is_no_error() -> None:
    gone = threading.Thread(target=int)
    gone.start()
    gone.join()
    with pinned_to_cores([gone.native_id or 0], [0]):
        wait_until_idle([threading.get_native_id(), gone.native_id or 0], unknown_wait_seconds=0.0)


def places(heap: HeapRandomizer, shaken: bool) -> set[int]:
    """Where malloc puts twenty kilobytes, time after time."""
    library = ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.restype, library.free.argtypes = None, [ctypes.c_void_p]
    found = set()
    heap.fill_holes()
    for _ in range(30):
        if shaken:
            heap.randomize()
        place = library.malloc(20_000)
        library.free(place)
        found.add(place)
    return found


def test_a_shaken_heap_gives_out_other_places() -> None:
    still, shaken = places(HeapRandomizer(), shaken=False), places(HeapRandomizer(), shaken=True)
    assert len(still) <= 3
    assert len(shaken) >= 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")
def test_memory_is_kept() -> None:
    code = """
import resource, sys
from perfsuite.gate.agent.randomize import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for call in range(20):
    if call == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [bytearray(8 << 20) for _ in range(4)]
    del blocks
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)
"""
    faults = {
        word: int(subprocess.run([sys.executable, "-c", code, word], capture_output=True, check=True).stdout)
        for word in ("keep", "leave")
    }
    assert faults["keep"] < 100 < 1000 < faults["leave"]


@pytest.mark.parametrize(
    ("threads", "pace", "number"),
    [
        ([1, 1], TurnSchedule(), 1),
        ([2, 2], TurnSchedule(), 2),
        ([1, 2], TurnSchedule(), 2),
        ([3, 3], TurnSchedule(), 0),
        ([0, 0], TurnSchedule(), 0),
        ([0, 1], TurnSchedule(), 0),
        ([1, 1], TurnSchedule(pin=False), 0),
    ],
)
@linux
def test_both_sides_get_the_same_cores(
    monkeypatch: pytest.MonkeyPatch, threads: list[int], pace: TurnSchedule, number: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 6})
    nobody: Any = None
    for first_core in (0, 1, 63):
        found = ProcessPair(nobody, nobody, pace, first_core=first_core)._cores(threads)
        assert len(found) == len(set(found)) == number
        assert set(found) <= {4, 6}


def test_when_turns_are_enough_does_not_depend_on_who_is_slower() -> None:
    pace = TurnSchedule(min_turns=4, max_side_seconds=0.8)
    quick, slow = [1.0, 1.2, 0.9, 1.1, 1.3, 0.8] * 4, [1.1, 1.3, 1.2, 0.9, 1.4, 1.0] * 4
    for turns in range(2, 25):
        said = {pace.is_enough(a[:turns], b[:turns], 0.01) for a, b in ((quick, slow), (slow, quick))}
        assert len(said) == 1
    assert not pace.is_enough([1.0] * 2, [1.0] * 2, 0.01)
    assert pace.is_enough([1.0] * 4, [1.0] * 4, 0.01)
    assert not pace.is_enough(quick, slow, 0.01)
    assert pace.is_enough(quick, slow, 0.04)
