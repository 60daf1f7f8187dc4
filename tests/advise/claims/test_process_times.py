from __future__ import annotations

import sys

import pytest

from perfsuite.advise.claims.process_times import time_process, time_processes_in_turns
from perfsuite.errors import PerfsuiteError


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_work_is_told_from_waiting() -> None:
    working = time_process(python("for _ in range(2_000_000): pass"))
    waiting = time_process(python("import time; time.sleep(0.3)"))
    assert working.user > waiting.user
    assert waiting.real > waiting.user + waiting.system


def test_every_command_runs_as_often_as_the_others() -> None:
    times = time_processes_in_turns({"a": ["true"], "b": ["true"]}, seconds=0.0, at_least=3)
    assert {name: len(taken) for name, taken in times.items()} == {"a": 4, "b": 4}  # two blocks of two turns


def test_a_process_that_fails_is_no_short_time() -> None:
    with pytest.raises(PerfsuiteError, match=r"exit 3, expected 0 \(planted\); not timed"):
        time_process(python("import sys; print('planted', file=sys.stderr); sys.exit(3)"))
