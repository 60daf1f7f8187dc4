"""Variants that take too long to prepare are named, and the others are timed. No time is asserted."""

from __future__ import annotations

from functools import partial
from time import sleep

import pytest

from perfsuite.advise.claims.variants import Call, prepare_calls, speedup_rows, time_within
from perfsuite.advise.time_limit import TimeIsUpError, TimeLimit, interrupt_when_over
from perfsuite.errors import PerfsuiteError


def call() -> None: ...


def ready() -> Call:
    return call


def endless() -> Call:
    while True:  # as a compilation that takes longer than the time
        pass


def failing() -> Call:
    raise PerfsuiteError("planted: off by 40 %")


def test_an_endless_preparation_leaves_time_for_the_others() -> None:
    limit = TimeLimit.start(1.0)
    makers = {"eager": ready, "endless": endless, "wrong": failing, "also endless": endless, "last": ready}
    prepared = prepare_calls(makers, limit)
    assert list(prepared.calls) == ["eager", "last"]
    assert prepared.rejected["wrong"] == "planted: off by 40 %"
    for name in ("endless", "also endless"):
        assert prepared.rejected[name].startswith("not ready after its ")
        assert prepared.rejected[name].endswith(" ms of --seconds 1; give --seconds 320")
    rows = speedup_rows(time_within(limit, prepared.calls, 1))
    assert [row.name for row in rows] == ["eager", "last"]


def test_a_baseline_that_fails_fails_the_table() -> None:
    with pytest.raises(PerfsuiteError, match="off by 40 %"):
        prepare_calls({"eager": failing, "last": ready}, TimeLimit.start(1.0))


def test_a_limit_that_is_over_has_one_block() -> None:
    rows = speedup_rows(time_within(TimeLimit.start(0.0), {"a": call, "b": call}, 1))
    assert [row.blocks for row in rows] == [1, 1]


def test_no_block_begins_that_would_end_after_the_limit() -> None:
    """On a clock that each call moves by 0.01 s, a block of two calls in turns takes 0.04 s."""
    now = 0.0

    def slow() -> None:
        nonlocal now
        now += 0.01
        sleep(0.011)  # longer than a round must be, so that a turn is one call

    time_within(TimeLimit.start(3.0, lambda: now), {"a": slow, "b": slow}, 1)
    assert 3.0 - 0.041 < now < 3.0 + 1e-9


def test_calls_that_take_all_the_time_have_turns_and_no_warm_up() -> None:
    """A call before the turns, one that shows how long it takes, and two turns."""
    calls = dict.fromkeys("ab", 0)

    def slow(name: str) -> None:
        calls[name] += 1
        sleep(0.02)

    limit = TimeLimit(0.1, 0.0, lambda: 0.05 if sum(calls.values()) < 5 else 0.1)
    time_within(limit, {name: partial(slow, name) for name in calls}, 1)
    assert calls == {"a": 4, "b": 4}


def test_whole_blocks_count_where_the_time_ends_in_a_later_one() -> None:
    with interrupt_when_over(TimeLimit.start(3.0)):
        rows = speedup_rows(time_within(TimeLimit.start(10.0), {"a": call, "b": call}, 1))
    assert [row.name for row in rows] == ["a", "b"]
    assert rows[0].blocks == rows[1].blocks > 0


def test_a_time_that_ends_before_the_first_block_ends_the_part() -> None:
    with pytest.raises(TimeIsUpError), interrupt_when_over(TimeLimit.start(0.05)):
        time_within(TimeLimit.start(10.0), {"a": call, "endless": endless}, 1)
