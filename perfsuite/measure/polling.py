"""Read something at intervals while a workload runs."""

from __future__ import annotations

import threading
from collections.abc import Callable


class PollingThread:
    """Calls `poll` at intervals in a thread, and once more at the end."""

    def __init__(self, poll: Callable[[], None], interval_seconds: float, name: str) -> None:
        self._poll = poll
        self._interval_seconds = interval_seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()
        self._poll()

    def _run(self) -> None:
        while not self._done.wait(self._interval_seconds):
            self._poll()
