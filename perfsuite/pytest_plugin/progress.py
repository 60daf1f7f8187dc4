"""Says what a long measurement is doing: one line on a terminal, a line now and then in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest

_FIRST_AFTER_SECONDS = 2.0
_INTERVAL_SECONDS = {True: 0.5, False: 15.0}  # on a terminal; in a log


class SessionProgress:
    """Writes past pytest's capture, and only where a person asked to see progress."""

    def __init__(self, config: pytest.Config) -> None:
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._reporter = reporter
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._is_quiet = config.get_verbosity() < 0 or self._reporter is None
        self._is_terminal = not self._is_quiet and bool(self._reporter.isatty)

    @contextmanager
    def for_workload(self, workload: str) -> Iterator[WorkloadProgress]:
        """Progress of one workload; what was written on the terminal is wiped at the end."""
        progress = WorkloadProgress(self, workload)
        try:
            yield progress
        finally:
            if progress.has_written and self._is_terminal:
                self.write("\r\x1b[K")

    def write(self, text: str) -> None:
        if self._capture is None:
            self._reporter.write(text, flush=True)
            return
        with self._capture.global_and_fixture_disabled():
            self._reporter.write(text, flush=True)

    @property
    def is_quiet(self) -> bool:
        return self._is_quiet

    @property
    def is_terminal(self) -> bool:
        return self._is_terminal


class WorkloadProgress:
    """Told of every round; speaks after two seconds, and then seldom."""

    def __init__(self, progress: SessionProgress, workload: str) -> None:
        self._progress = progress
        self._workload = workload.rpartition("/")[2]
        self._began = monotonic()
        self._next = self._began + _FIRST_AFTER_SECONDS
        self.has_written = False

    def on_round(self, doing: str, rounds: int) -> None:
        now = monotonic()
        if self._progress.is_quiet or now < self._next:
            return
        self._next = now + _INTERVAL_SECONDS[self._progress.is_terminal]
        counted = f", {rounds} rounds" if rounds else ""
        told = f"{self._workload}: {doing}{counted}, {now - self._began:.0f} s"
        self._progress.write(f"\r\x1b[K{told}" if self._progress.is_terminal else f"\n  {told}\n")
        self.has_written = True
