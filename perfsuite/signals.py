"""Treat SIGTERM as Ctrl-C, and put interrupts off until what was started is known."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
# Ctrl-C, the end of a CI's job, and the end of a time limit.
INTERRUPTS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM") if hasattr(signal, name)]


@contextmanager
def sigterm_as_keyboard_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM while the block runs, unless the process already handles it.

    A CI cancels a job with SIGTERM: partial results are still reported, and processes are ended.
    """
    is_unhandled = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not is_unhandled or threading.current_thread() is not threading.main_thread():
        yield
        return
    own_pid = os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != own_pid:  # a forked worker, which its parent ends with SIGTERM
            os.kill(os.getpid(), number)
        raise KeyboardInterrupt("SIGTERM")

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is interrupt:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Handle interrupts after the block, so that no process or thread is left half started or half ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with ExitStack() as stack:
        for number in INTERRUPTS:
            stack.enter_context(_deferred(number))
        yield


@contextmanager
def started(start: Callable[[], T], end: Callable[[T], object]) -> Iterator[T]:
    """What `start` returns, which `end` ends after the block; no interrupt comes between the two."""
    with ExitStack() as stack:
        with interrupts_deferred():
            process = start()
            stack.callback(end, process)
        yield process


@contextmanager
def _deferred(number: int) -> Iterator[None]:
    handler = signal.getsignal(number)
    if not callable(handler):  # the default action, or ignored
        yield
        return
    received: list[FrameType | None] = []
    signal.signal(number, lambda number, frame: received.append(frame))
    try:
        yield
    finally:
        signal.signal(number, handler)
        if received:
            handler(number, received[0])
