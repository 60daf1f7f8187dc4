"""Work that counters cannot see is named, so that a limit on them is never kept by ignorance."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from perfsuite.measure.counters.family import Scope
from perfsuite.measure.counters.registry import (
    DEVICE_COUNTERS,
    DIRECTIONS,
    FAMILIES,
    CallCounts,
    count_call,
)

WITHOUT_A_DEVICE = DIRECTIONS.keys() - DEVICE_COUNTERS
OF_THE_CALLING_THREAD = {
    name for family in FAMILIES if family.scope is Scope.CALLING_THREAD for name in family.directions
}


def work() -> float:
    return float(torch.ones(3).sum()) + sum(range(100_000))


def in_a_new_thread() -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def in_a_new_process() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def test_work_of_the_call_itself_is_all_seen() -> None:
    assert count_call(work).unseen == {}


def test_a_new_thread_is_named_for_the_counters_that_see_one_thread() -> None:
    counts = count_call(in_a_new_thread)
    assert set(counts.unseen) == OF_THE_CALLING_THREAD | {"decoded_images"}
    assert counts.unseen["host_syncs"] == ("work in other threads is not counted (1 worked during the call)")


def test_files_that_a_thread_opens_are_counted() -> None:
    def opens() -> None:
        thread = threading.Thread(target=Path(os.devnull).read_bytes)
        thread.start()
        thread.join()

    counts = count_call(opens)
    assert counts.values["opened_files"] == 1
    assert "opened_files" not in counts.unseen


def test_a_pool_that_is_used_is_named_and_one_that_idles_is_not() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
        assert "dispatched_ops" in count_call(lambda: pool.submit(work).result()).unseen
        assert is_quiet(lambda: count_call(work))


def test_a_new_process_is_named_for_every_counter() -> None:
    assert set(count_call(in_a_new_process).unseen) == WITHOUT_A_DEVICE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how long a process worked")
def test_a_worker_process_that_works_is_named_and_one_that_idles_is_not() -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(sum, [1]).result()
        assert set(count_call(lambda: pool.submit(sum, range(10**6)).result()).unseen) >= WITHOUT_A_DEVICE
        assert is_quiet(lambda: count_call(work))


def is_quiet(count: Callable[[], CallCounts]) -> bool:
    """Whether nothing worked elsewhere, at least once: a worker may still be on its way to sleep."""
    return any(count().unseen == {} for _ in range(20))


def test_counting_itself_opens_no_file_in_a_fresh_process() -> None:
    """Entering the counters of torch imports modules, which read the metadata of installed packages."""
    code = (
        "import torch\n"
        "from perfsuite.measure.counters.registry import count\n"
        "assert count(lambda: torch.ones(2).add(1).tolist())['opened_files'] == 0\n"
        "assert count(lambda: open('/dev/null').close())['opened_files'] == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_counters_of_torch_are_zero_without_torch_and_unseen_if_the_call_imports_it() -> None:
    code = (
        "from perfsuite.measure.counters.registry import count_call\n"
        "plain = count_call(lambda: None)\n"
        "assert plain.values['host_syncs'] == plain.values['graph_breaks'] == 0 and not plain.unseen\n"
        "late = count_call(lambda: __import__('torch').ones(2).tolist())\n"
        "assert 'the call itself imported torch' in late.unseen['host_syncs'], late\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
