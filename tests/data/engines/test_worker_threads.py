from __future__ import annotations

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
