from __future__ import annotations

import os
import subprocess
import sys
import time

from perfsuite.measure.memory import measure_peak_memory, process_tree_bytes

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
