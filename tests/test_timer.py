"""Clocks for code that chooses by speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite import timer
from perfsuite.timer import busy_seconds


@pytest.fixture
def threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the kernel's list of this process's threads."""
    monkeypatch.setattr(timer, "_THREADS", tmp_path)
    return tmp_path


def test_running_and_waiting_for_a_core_are_summed_over_threads(threads: Path) -> None:
    for name, schedstat in (("1", "1000000000 250000000 7"), ("2", "500000000 250000000 3")):
        (threads / name).mkdir()
        (threads / name / "schedstat").write_text(schedstat)
    assert busy_seconds() == 2.0


def test_a_thread_that_ended_meanwhile_counts_nothing(threads: Path) -> None:
    (threads / "1").symlink_to(threads / "gone")
    assert busy_seconds() == 0.0


@pytest.mark.parametrize("is_linux", [True, False])
def test_without_these_statistics_running_time_is_used(
    threads: Path, monkeypatch: pytest.MonkeyPatch, is_linux: bool
) -> None:
    if is_linux:
        (threads / "1").mkdir()
    else:
        threads.rmdir()
    monkeypatch.setattr("time.process_time", lambda: 12.5)
    assert busy_seconds() == 12.5
