from __future__ import annotations

import threading

import pytest

from perfsuite.measure import stage_clock
from perfsuite.measure.clock import no_wait
from perfsuite.measure.stage_clock import StageClock, seconds_by_stage
from perfsuite.stages import iterate_in_stage, listen_to_stages, stage


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reading of the clock is one second after the last."""
    readings = iter(range(10_000))
    monkeypatch.setattr(stage_clock, "perf_counter", lambda: float(next(readings)))


@pytest.mark.usefixtures("ticks")
def test_a_stage_inside_another_is_not_counted_twice() -> None:
    clock = StageClock()
    with listen_to_stages(clock), stage("load"), stage("decode"):
        pass
    assert dict(clock.seconds) == {"decode": 1.0, "load": 2.0}


@pytest.mark.usefixtures("ticks")
def test_seconds_are_per_call() -> None:
    def call() -> None:
        with stage("forward"):
            pass

    assert seconds_by_stage(call, 5, no_wait) == {"forward": 1.0}


def test_waiting_for_the_end_of_an_iterator_counts_too() -> None:
    waits: list[None] = []  # the clock waits at the begin and the end of each stage
    with listen_to_stages(StageClock(lambda: waits.append(None))):
        assert list(iterate_in_stage("load", "ab")) == ["a", "b"]
    assert len(waits) == 2 * 3


def test_threads_do_not_end_each_others_stages() -> None:
    clock = StageClock()
    barrier = threading.Barrier(2)

    def work(name: str) -> None:
        with stage(name):
            barrier.wait()

    with listen_to_stages(clock):
        threads = [threading.Thread(target=work, args=(name,)) for name in ("read", "decode")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(clock.seconds) == {"read", "decode"}


def test_the_device_has_finished_when_a_stage_ends() -> None:
    events: list[str] = []
    with listen_to_stages(StageClock(lambda: events.append("wait"))), stage("forward"):
        events.append("work")
    assert events == ["wait", "work", "wait"]


@pytest.mark.usefixtures("ticks")
def test_a_stage_that_raises_has_ended() -> None:
    clock = StageClock()
    with listen_to_stages(clock):
        with pytest.raises(ValueError, match="bad"), stage("decode"):
            raise ValueError("bad")
        with stage("decode"):
            pass
    assert dict(clock.seconds) == {"decode": 2.0}


def test_a_stage_without_a_listener_does_nothing() -> None:
    with stage("decode"):
        pass
