"""Limits that are divided and nested. No time is asserted: blocks are endless, and what ends them is."""

from __future__ import annotations

import importlib
import signal
import sys
from pathlib import Path

import pytest

from perfsuite.advise.time_limit import TimeIsUpError, TimeLimit, divide_time, interrupt_when_over

SHORT = 0.05


def run_endlessly(limit: TimeLimit) -> None:
    with interrupt_when_over(limit):
        while True:
            pass


def test_time_that_is_not_used_is_given_on() -> None:
    now = 0.0
    limit = TimeLimit.start(100.0, timer=lambda: now)
    shares = {}
    for name, share in divide_time(limit, {"quick": 50, "exact": 30, "late": 10, "last": 10}):
        shares[name] = share.seconds
        now += {"quick": 10.0, "exact": share.seconds, "late": 1000.0}.get(name, 0.0)
    assert shares == {"quick": 50.0, "exact": 54.0, "late": 18.0, "last": 0.0}


def test_a_share_knows_the_time_of_the_whole_command() -> None:
    assert TimeLimit.start(100.0).share(0.5).share(0.1).command_seconds == 100.0


def test_an_inner_limit_ends_its_block_and_the_outer_one_still_ends_the_rest() -> None:
    ended = []

    def run() -> None:
        with pytest.raises(TimeIsUpError):
            run_endlessly(TimeLimit.start(SHORT))
        ended.append("inner")
        while True:
            pass

    with pytest.raises(TimeIsUpError), interrupt_when_over(TimeLimit.start(4 * SHORT)):
        run()
    assert ended == ["inner"]


def test_an_outer_limit_ends_a_block_whose_own_is_later() -> None:
    with pytest.raises(TimeIsUpError), interrupt_when_over(TimeLimit.start(SHORT)):
        run_endlessly(TimeLimit.start(3600.0))


def test_no_alarm_is_left_behind() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeIsUpError):
        run_endlessly(TimeLimit.start(SHORT))
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_an_import_is_not_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted module takes longer than the limit; with the alarm in its middle, it would not be whole."""
    code = "from time import perf_counter as now\nend = now() + 0.2\nwhile now() < end: pass\nwhole = 1\n"
    (tmp_path / "slow_to_import.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "slow_to_import", raising=False)

    def run() -> None:
        importlib.import_module("slow_to_import")
        while True:
            pass

    with pytest.raises(TimeIsUpError), interrupt_when_over(TimeLimit.start(SHORT)):
        run()
    assert sys.modules["slow_to_import"].whole == 1
