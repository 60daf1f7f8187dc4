"""Timing whole processes."""

from __future__ import annotations

import sys

import pytest

from perfsuite.advise.claims.process_times import time_process, time_processes_in_turns
from perfsuite.errors import PerfsuiteError


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_cpu_time_is_separate_from_waiting() -> None:
    working = time_process(python("for _ in range(2_000_000): pass"))
    waiting = time_process(python("import time; time.sleep(0.3)"))
    assert working.user > waiting.user
    assert waiting.real > waiting.user + waiting.system


def test_every_command_runs_equally_often() -> None:
    times = time_processes_in_turns({"a": ["true"], "b": ["true"]}, seconds=0.0, min_rounds=3)
    assert {name: len(taken) for name, taken in times.items()} == {"a": 4, "b": 4}  # two blocks of two turns


def test_a_failing_process_is_an_error() -> None:
    with pytest.raises(PerfsuiteError, match=r"exit 3, expected 0 \(planted\); not timed"):
        time_process(python("import sys; print('planted', file=sys.stderr); sys.exit(3)"))
