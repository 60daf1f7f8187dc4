from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from perfsuite.measure import memory
from perfsuite.measure.memory import bytes_of_processes, measure_peak_memory, process_tree_bytes

SIZE = 64 * 2**20


def test_the_peak_includes_memory_that_was_freed() -> None:
    found = measure_peak_memory(lambda: bytearray(b"x") * SIZE)
    assert found.peak_growth_bytes is not None
    assert SIZE * 0.9 < found.peak_growth_bytes < SIZE * 2.5


def test_a_call_that_allocates_nothing_grows_little() -> None:
    found = measure_peak_memory(lambda: None)
    assert found.peak_growth_bytes is not None
    assert found.peak_growth_bytes < SIZE / 4


def test_children_are_part_of_the_tree() -> None:
    hold = f"x = bytearray(b'x') * {SIZE}; import time; time.sleep(60)"
    before = process_tree_bytes()
    child = subprocess.Popen([sys.executable, "-c", hold])
    try:
        deadline = time.monotonic() + 30
        while process_tree_bytes() - before < SIZE * 0.9 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process_tree_bytes() - before >= SIZE * 0.9
    finally:
        child.kill()
        child.wait()


def test_a_process_that_has_ended_has_no_memory() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(child.pid)
    assert bytes_of_processes([process]) > 0
    child.communicate(b"\n")
    assert bytes_of_processes([process]) == 0


class FakeCuda:
    """Counts like torch.cuda: the peak is that since the last reset."""

    def __init__(self) -> None:
        self.allocated = self.peak = 0

    def allocate(self, size: int) -> None:
        self.allocated += size
        self.peak = max(self.peak, self.allocated)

    def synchronize(self) -> None: ...

    def reset_peak_memory_stats(self) -> None:
        self.peak = self.allocated

    def max_memory_allocated(self) -> int:
        return self.peak

    max_memory_reserved = max_memory_allocated


def test_the_peak_of_the_device_is_that_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    cuda.allocate(SIZE)
    cuda.allocate(-SIZE // 2)
    monkeypatch.setattr(memory, "_active_cuda", lambda: cuda)

    def call() -> None:
        cuda.allocate(10)
        cuda.allocate(-10)

    found = measure_peak_memory(call)
    assert found.peak_cuda_allocated_bytes == SIZE // 2 + 10
    monkeypatch.setattr(memory, "_active_cuda", lambda: None)
    assert measure_peak_memory(lambda: None).peak_cuda_allocated_bytes is None


def test_shared_pages_are_counted_once() -> None:
    shared = bytearray(b"x") * SIZE
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os._exit(0)
    try:
        os.read(ready[0], 1)
        assert measure_peak_memory(lambda: None).peak_pss_bytes is not None
        with_child = process_tree_bytes()
    finally:
        os.write(done[1], b"x")
        os.waitpid(child, 0)
    assert with_child - process_tree_bytes() < SIZE / 2
    assert len(shared) == SIZE
