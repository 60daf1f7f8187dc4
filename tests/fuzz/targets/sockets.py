"""The lines that a side's process writes into its socket, as a pair of processes reads them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfsuite.gate.collection import CollectedSuites, receive_collection
from perfsuite.gate.harness import find_harness
from perfsuite.gate.messages import Message, MessageError, parse_message
from perfsuite.gate.pair_result import NodeId
from perfsuite.gate.process_pair import ProcessPair
from perfsuite.gate.run_pair import run_pair
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.side_process import SideProcessError
from perfsuite.gate.workload_state import WorkloadState
from tests.fuzz.mutations import mutate_bytes, mutate_document
from tests.fuzz.target import Target

SCHEDULE = TurnSchedule(min_turns=2, max_side_seconds=0, idle_wait_seconds=0, cooling_seconds=0)
ITEM = {"id": "t.py::t", "file": "t.py", "line": 3, "tolerance": 0.1}
SESSION = [
    {
        "event": "collected",
        "items": [ITEM],
        "errors": [],
        "foreign_packages": [],
        "pytest_config": "",
        "shared_imports": ["numpy"],
    },
    {"event": "waiting", "node": "t.py::t", "name": "t.py::t", "items": 1.0},
    {"event": "warmed_up", "seconds_per_call": 0.001, "threads": 1, "on_device": False},
    *[
        {
            "event": "turn_ended",
            "median": 0.001,
            "low": 0.001,
            "seconds_by_stage": {"read": 0.0005},
            "waited_share": 0.0,
        }
    ]
    * 4,
    {"event": "test_ended", "node": "t.py::t", "outcome": "passed", "detail": ""},
    {"event": "session_finished", "shared_imports": ["numpy"]},
]


class ScriptedSide:
    """A side that says what a file holds, one line a message."""

    def __init__(self, side: str, lines: Sequence[bytes]) -> None:
        self.side = side
        self._lines = iter(lines)

    def send(self, **message: Any) -> None:
        """Take a command without heeding it."""

    def receive(self, timeout_seconds: float) -> Message:
        try:
            return parse_message(next(self._lines))
        except StopIteration:
            raise SideProcessError(self.side, "died", "the process ended") from None
        except MessageError as error:
            raise SideProcessError(self.side, "invalid message", str(error)) from error

    def tail(self) -> str:
        return ""


def corpus() -> Sequence[bytes]:
    return [b"\n".join(json.dumps(message).encode() for message in SESSION)]


def mutate(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    number = rng.randrange(len(lines))
    if rng.random() < 0.3:
        lines[number] = mutate_bytes(rng, lines[number])
    else:
        lines[number] = json.dumps(mutate_document(rng, json.loads(lines[number]))).encode()
    if rng.random() < 0.2:
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return b"\n".join(lines)


def try_one(data: bytes, folder: Path) -> None:
    """One side is as it should be, the other as it pleases."""
    sides: Any = [
        ScriptedSide("base", corpus()[0].split(b"\n")),
        ScriptedSide("head", data.split(b"\n")),
    ]
    try:
        by_side = {side.side: receive_collection(side, 1) for side in sides}
    except SideProcessError:
        return
    suites = CollectedSuites(by_side)
    suites.changed_markers()
    find_harness(folder, suites.benchmark_files("head"), by_side["head"].pytest_config)
    result = run_pair(ProcessPair(sides[0], sides[1], SCHEDULE), [NodeId("t.py::t")])
    for turns in result.workload_turns:
        WorkloadState(turns.name, turns.node).add_pair(turns, result.first_side)


TARGET = Target("sockets", corpus, mutate, try_one)
