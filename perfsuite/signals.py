"""Treat SIGTERM as Ctrl-C: report partial results and clean up when a CI cancels the job."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def sigterm_as_keyboard_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM while the block runs, unless the process already handles it."""
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
