from __future__ import annotations

import gc
import threading

from perfsuite.data.engines.worker_threads import WorkerThreads


def test_a_thread_that_is_busy_when_its_pool_is_closed_and_deleted_ends_after_its_call() -> None:
    is_busy, may_end = threading.Event(), threading.Event()

    def work() -> None:
        is_busy.set()
        assert may_end.wait(60)

    pool = WorkerThreads(1, "planted")
    result = pool.submit(work)
    assert is_busy.wait(60)
    (thread,) = pool._threads
    pool.close(wait_seconds=0)
    del pool
    may_end.set()
    thread.join(60)
    assert not thread.is_alive()
    assert result.exception() is None


def test_a_thread_that_was_given_a_canceled_call_ends_with_its_pool() -> None:
    """It would keep the call, and with it what the call belongs to: here the pool itself."""
    is_busy, may_end = threading.Event(), threading.Event()

    class Owner:
        def __init__(self) -> None:
            self.pool = WorkerThreads(1, "planted")

        def work(self) -> None:
            is_busy.set()
            assert may_end.wait(60)

    owner = Owner()
    owner.pool.submit(owner.work)
    assert is_busy.wait(60)
    assert owner.pool.submit(owner.work).cancel()
    (thread,) = owner.pool._threads
    calls = owner.pool._calls
    may_end.set()
    while not calls.empty():
        thread.join(0.01)
    del owner
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()
