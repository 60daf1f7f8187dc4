"""The agent's stage clock agrees with the one that it copies, and receives the project's stages."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from types import ModuleType

import pytest

from perfsuite.gate.agent import stage_clock as agent_module
from perfsuite.gate.agent.optional import listening_to_stages
from perfsuite.gate.agent.stage_clock import AgentStageClock
from perfsuite.measure import stage_clock as measure_module
from perfsuite.measure.stage_clock import StageClock
from perfsuite.stages import stage

EVENTS = [
    ([("begin", "read"), ("end", "read")], {"read": 1.0}),
    (
        [("begin", "read"), ("begin", "decode"), ("end", "decode"), ("end", "read")],
        {"read": 2.0, "decode": 1.0},
    ),
    ([("begin", "read"), ("end", "read"), ("begin", "read"), ("end", "read")], {"read": 2.0}),
    ([("begin", "a"), ("begin", "a"), ("end", "a"), ("end", "a")], {"a": 3.0}),
    ([("end", "a")], {}),  # the stage began before the clock listened
]


def ticks() -> Iterator[float]:
    """A clock on which each reading is one second after the last."""
    seconds = 0.0
    while True:
        yield seconds
        seconds += 1.0


@pytest.mark.parametrize(("events", "seconds"), EVENTS)
def test_both_clocks_report_each_stage_without_the_stages_inside_it(
    events: list[tuple[str, str]], seconds: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, clock in ((agent_module, AgentStageClock()), (measure_module, StageClock())):
        readings = ticks()
        monkeypatch.setattr(time, "perf_counter", lambda readings=readings: next(readings))
        if hasattr(module, "perf_counter"):
            monkeypatch.setattr(module, "perf_counter", time.perf_counter)
        for method, name in events:
            getattr(clock, method)(name)
        assert dict(clock.seconds) == seconds


class SlowSeconds(dict[str, float]):
    """A sum that takes long to read, so that an update without a lock loses another thread's."""

    def __missing__(self, stage: str) -> float:
        return 0.0

    def __getitem__(self, stage: str) -> float:
        seconds = super().__getitem__(stage)
        time.sleep(0.02)
        return seconds


@pytest.mark.parametrize("make_clock", [StageClock, AgentStageClock])
def test_threads_that_end_a_stage_at_once_lose_no_time(
    make_clock: type[StageClock] | type[AgentStageClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = make_clock()
    monkeypatch.setattr(clock, "seconds", SlowSeconds())
    readings = iter([0.0] * 4 + [1.0] * 4)
    monkeypatch.setattr(time, "perf_counter", lambda: next(readings))
    monkeypatch.setattr(measure_module, "perf_counter", lambda: next(readings))
    barrier = threading.Barrier(4)

    def work() -> None:
        clock.begin("decode")
        barrier.wait()
        clock.end("decode")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(clock.seconds) == {"decode": 4.0}


def test_stages_of_the_project_reach_the_clock() -> None:
    """The agent finds perfsuite.stages at run time, so that no import breaks when a name there changes."""
    clock = AgentStageClock()
    with listening_to_stages(clock), stage("decode"):
        pass
    assert list(clock.seconds) == ["decode"]


@pytest.mark.parametrize("stages", [None, ModuleType("perfsuite.stages")], ids=["not imported", "older"])
def test_a_side_without_stages_of_this_kind_runs_all_the_same(
    monkeypatch: pytest.MonkeyPatch, stages: ModuleType | None
) -> None:
    """A side may have another version of perfsuite than the gate."""
    monkeypatch.setitem(sys.modules, "perfsuite.stages", stages)
    ran = []
    with listening_to_stages(AgentStageClock()):
        ran.append(1)
    assert ran
