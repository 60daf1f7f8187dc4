"""The token: who works when, and what is done about a GPU that is held back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.side_process import SideProcess, SideProcessError
from perfsuite.gate.turns import ProcessPair
from perfsuite.measure import gpu
from perfsuite.measure.gpu import GpuReadings

# An arm that is no pytest: it answers every word and writes down when it worked.
ECHO_SIDE = """
import json, os, socket
line = socket.socket(fileno=int(os.environ["PERFSUITE_GATE_SOCKET"])).makefile("rwb", buffering=0)
for said in line:
    word = json.loads(said)
    print(word["do"], flush=True)
    answer = {"warm": {"say": "warm", "seconds_per_call": 0.001, "threads": 0, "on_device": False},
              "turn": {"say": "turn", "median": 0.001, "low": 0.001, "stages": {}},
              "nonsense": {"say": "nonsense"}}[word["do"]]
    line.write(json.dumps(answer).encode() + b"\\n")
"""
SCHEDULE = TurnSchedule(fewest_turns=4, side_seconds=0.0, rest_seconds=0.0, cooling_seconds=0.0)


@contextmanager
def side_processes(folder: Path, code: str = ECHO_SIDE) -> Iterator[tuple[SideProcess, SideProcess]]:
    import os
    import sys

    words, around = [sys.executable, "-c", code], dict(os.environ)
    with (
        SideProcess("base", words, around, folder, folder / "base.log") as base,
        SideProcess("head", words, around, folder, folder / "head.log") as head,
    ):
        yield base, head


def test_turns_go_a_b_b_a_and_the_second_warms_up_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    tell = SideProcess.send

    def noted(self: SideProcess, **words: Any) -> None:
        told.append(f"{self.side} {words['do']}")
        tell(self, **words)

    monkeypatch.setattr(SideProcess, "send", noted)
    with side_processes(tmp_path) as (base, head):
        seen = ProcessPair(base, head, SCHEDULE).take_turns("t", "t", 1.0)
    assert told[:2] == ["head warm", "base warm"]
    order = "".join({"base turn": "A", "head turn": "B"}[word] for word in told[2:])
    assert order == "ABBAABBA"
    assert len(seen.first_turns) == len(seen.second_turns) == 4


def test_a_side_that_is_gone_is_named_with_its_last_words(tmp_path: Path) -> None:
    code = "print('out of memory', flush=True); raise SystemExit(9)"
    with (
        side_processes(tmp_path, code) as (base, head),
        pytest.raises(SideProcessError, match=r"(?s)base.*status 9.*out of m"),
    ):
        ProcessPair(base, head, SCHEDULE).collect()


def test_a_silent_side_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    pace = TurnSchedule(patience_seconds=0.5)
    silent = "import time; time.sleep(60)"
    with (
        side_processes(tmp_path, silent) as (base, head),
        pytest.raises(SideProcessError, match="--hang-timeout"),
    ):
        ProcessPair(base, head, pace).collect()
    assert base.process.returncode is not None
    assert head.process.returncode is not None


def test_a_side_that_says_nonsense_is_an_error(tmp_path: Path) -> None:
    with side_processes(tmp_path) as (base, head):
        pair = ProcessPair(base, head, SCHEDULE)
        base.send(do="nonsense")
        with pytest.raises(SideProcessError, match="said 'nonsense', expected 'turn'"):
            pair._expect(base, "turn")


@pytest.mark.parametrize(("throttled_for", "taken"), [(0, 1), (1, 2), (2, 3), (99, 4)])
def test_a_throttled_turn_is_taken_again_a_bounded_number_of_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, throttled_for: int, taken: int
) -> None:
    turns = 0

    class Watch(gpu.GpuMonitor):
        def begin(self) -> None: ...

        def end(self) -> None:
            nonlocal turns
            turns += 1
            reasons = ("power cap",) if turns <= throttled_for else ()
            self.readings = GpuReadings(90.0, 1200.0, 2600.0, 700.0, 80.0, 1.0, reasons)

    monkeypatch.setattr("perfsuite.gate.turns.GpuWatch", Watch)
    with side_processes(tmp_path) as (base, head):
        turn = ProcessPair(base, head, SCHEDULE)._take_turn(base, True, calls=1, settle=0, cores=[])
    assert turns == taken
    assert turn.gpu is not None
    assert bool(turn.gpu.throttled) is (throttled_for >= taken)
