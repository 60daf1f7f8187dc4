"""Daemon threads that run calls in order. Unlike an executor's threads, a stuck one does not block exit."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar
from weakref import WeakSet

from perfsuite.signals import interrupts_deferred

P = ParamSpec("P")
T = TypeVar("T")

# A thread that is within a call at exit gets this long; libraries must not be unloaded under it.
EXIT_SECONDS = 5.0

_Call = tuple["Future[Any]", Callable[[], Any]]
_open_pools: WeakSet[WorkerThreads] = WeakSet()


class WorkerThreads:
    """A fixed number of threads; they start with the first call."""

    def __init__(self, count: int, name: str) -> None:
        self._count, self._name = count, name
        self._pid = os.getpid()  # a forked child inherits the object without its threads
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        _open_pools.add(self)

    @property
    def is_usable(self) -> bool:
        return self._pid == os.getpid()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        while len(self._threads) < self._count:
            number = len(self._threads)
            thread = threading.Thread(
                target=_run_calls, args=(self._calls,), name=f"{self._name}_{number}", daemon=True
            )
            with interrupts_deferred():  # `close` must know every thread
                thread.start()
                self._threads.append(thread)
        future: Future[T] = Future()
        self._calls.put((future, lambda: function(*args, **kwargs)))
        return future

    def close(self, wait_seconds: float | None = None) -> None:
        """End the threads after their present calls and wait for that; 0 seconds do not wait."""
        _open_pools.discard(self)
        threads, self._threads = self._threads, []
        if not threads or not self.is_usable:  # a second call must not take what ends the threads
            return
        while True:
            try:
                call = self._calls.get_nowait()
            except Empty:
                break
            if call is not None:
                call[0].cancel()
        for _ in threads:
            self._calls.put(None)
        for thread in threads:
            if wait_seconds != 0 and thread is not threading.current_thread():
                thread.join(wait_seconds)

    def __del__(self) -> None:
        self.close(wait_seconds=0)


def _run_calls(calls: SimpleQueue[_Call | None]) -> None:
    while (call := calls.get()) is not None:
        future, function = call
        if future.set_running_or_notify_cancel():
            # Ctrl-C within a caller's `with future._condition` breaks that lock; then nobody waits any more.
            with suppress(RuntimeError):
                _resolve(future, function)
        del call, future, function  # the waiting thread must keep alive neither a batch nor its own pool


def _resolve(future: Future[Any], function: Callable[[], Any]) -> None:
    try:
        result = function()
    except BaseException as error:  # raised again in the caller's thread
        future.set_exception(error)
    else:
        future.set_result(result)


@atexit.register
def _close_at_exit() -> None:
    for pool in list(_open_pools):
        pool.close(EXIT_SECONDS)
