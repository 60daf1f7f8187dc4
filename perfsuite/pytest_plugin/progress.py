"""Progress of long measurements: one line that is rewritten on a terminal, a line every 15 s in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest

from perfsuite.report.text import escape_control_characters

_FIRST_AFTER_SECONDS = 2.0
_INTERVAL_SECONDS = {True: 0.5, False: 15.0}  # on a terminal; in a log


class SessionProgress:
    """Writes progress past pytest's capture, and nothing with `-q`."""

    def __init__(self, config: pytest.Config) -> None:
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._reporter = reporter
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._is_quiet = config.get_verbosity() < 0 or self._reporter is None
        self._is_terminal = not self._is_quiet and bool(self._reporter.isatty)

    @contextmanager
    def for_workload(self, workload: str) -> Iterator[WorkloadProgress]:
        """Report the progress of one workload; erase the terminal's line at the end."""
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
    """Progress of one workload: nothing in the first two seconds, then at intervals."""

    def __init__(self, progress: SessionProgress, workload: str) -> None:
        self._progress = progress
        self._workload = workload.rpartition("/")[2]
        self._started_at = monotonic()
        self._next_at = self._started_at + _FIRST_AFTER_SECONDS
        self.has_written = False

    def on_round(self, phase: str, rounds: int) -> None:
        """Write the phase, the rounds so far and the time, where it is time to."""
        now = monotonic()
        if self._progress.is_quiet or now < self._next_at:
            return
        self._next_at = now + _INTERVAL_SECONDS[self._progress.is_terminal]
        count = f", {rounds} rounds" if rounds else ""
        line = escape_control_characters(f"{self._workload}: {phase}{count}, {now - self._started_at:.0f} s")
        self._progress.write(f"\r\x1b[K{line}" if self._progress.is_terminal else f"\n  {line}\n")
        self.has_written = True
