"""Effects that last for a process's life are removed or re-randomized: cores, heap layout, freed memory."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
import threading

import pytest

from perfsuite.gate.agent.randomize import (
    CorePins,
    CpuTimes,
    HeapRandomizer,
    busy_threads,
    wait_until_idle,
)

CALLER = threading.get_native_id()
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports CPU time by thread")
BEFORE = CpuTimes(10.0, 1.0, {CALLER: 5.0, 7: 5.0})


@pytest.mark.parametrize(
    ("after", "threads"),
    [
        (CpuTimes(11.0, 1.0, {CALLER: 6.0, 7: 5.0}), [CALLER]),
        (CpuTimes(12.0, 1.0, {CALLER: 6.0, 7: 6.0}), [CALLER, 7]),
        (CpuTimes(12.0, 1.0, {CALLER: 6.0, 7: 5.01, 9: 0.99}), [CALLER, 9]),
        (CpuTimes(12.0, 1.0, {CALLER: 6.0, 7: 5.0}), []),  # a second of work by threads that have ended
        (CpuTimes(11.0, 1.5, {CALLER: 6.0, 7: 5.0}), []),  # a child process worked
        (None, []),
    ],
)
def test_busy_threads_are_found_or_reported_as_unknown(after: CpuTimes | None, threads: list[int]) -> None:
    assert busy_threads(BEFORE, after, elapsed=1.0) == threads


@linux
def test_cpu_times_are_unknown_with_a_living_child_process() -> None:
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
def test_pinning_restores_the_affinity() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    pins = CorePins()
    pins.pin([threading.get_native_id()], [core])
    assert os.sched_getaffinity(0) == {core}
    pins.release()
    assert os.sched_getaffinity(0) == before


@linux
def test_other_pins_replace_those_before() -> None:
    before = os.sched_getaffinity(0)
    pins = CorePins()
    for core in before:
        pins.pin([threading.get_native_id()], [core])
        assert os.sched_getaffinity(0) == {core}
    pins.pin([], [])
    assert os.sched_getaffinity(0) == before


@linux
def test_pinning_ignores_a_thread_that_has_ended() -> None:
    ended = threading.Thread(target=int)
    ended.start()
    ended.join()
    pins = CorePins()
    pins.pin([ended.native_id or 0], [0])
    wait_until_idle([threading.get_native_id(), ended.native_id or 0], unknown_wait_seconds=0.0)
    pins.release()


def addresses(heap: HeapRandomizer, randomize: bool) -> set[int]:
    """Where malloc puts twenty kilobytes, in thirty tries."""
    library = ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.restype, library.free.argtypes = None, [ctypes.c_void_p]
    found = set()
    heap.fill_holes()
    for _ in range(30):
        if randomize:
            heap.randomize()
        address = library.malloc(20_000)
        library.free(address)
        found.add(address)
    return found


def test_a_randomized_heap_returns_many_addresses() -> None:
    assert len(addresses(HeapRandomizer(), randomize=False)) <= 3
    assert len(addresses(HeapRandomizer(), randomize=True)) >= 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")
def test_freed_memory_is_kept() -> None:
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
        mode: int(subprocess.run([sys.executable, "-c", code, mode], capture_output=True, check=True).stdout)
        for mode in ("keep", "return")
    }
    assert faults["keep"] < 100 < 1000 < faults["return"]
