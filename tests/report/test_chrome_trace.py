"""Spans as a Chrome trace."""

from __future__ import annotations

import json

from perfsuite.measure.stage_clock import StageClock, StageSpan
from perfsuite.report.chrome_trace import render_chrome_trace
from perfsuite.stages import listen_to_stages, stage


def test_nested_stages_are_inside_each_other_and_threads_are_apart() -> None:
    spans = [
        StageSpan("decode", 1.1, 1.4, 77),
        StageSpan("load", 1.0, 1.5, 77),
        StageSpan("load", 1.2, 1.6, 99),
    ]
    events = json.loads(render_chrome_trace(spans))["traceEvents"]
    inner, outer, other = events
    assert outer["ts"] <= inner["ts"]
    assert inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"]
    assert inner["tid"] == outer["tid"] != other["tid"]
    assert min(event["ts"] for event in events) == 0
    assert {event["ph"] for event in events} == {"X"}


def test_no_spans_are_an_empty_trace() -> None:
    assert json.loads(render_chrome_trace([]))["traceEvents"] == []


def test_a_stage_clock_keeps_as_many_spans_as_it_is_told() -> None:
    clock = StageClock(max_spans=2)
    with listen_to_stages(clock):
        for _ in range(3):
            with stage("decode"):
                pass
    assert [span.stage for span in clock.spans] == ["decode", "decode"]
    assert all(span.begin <= span.end for span in clock.spans)
    assert StageClock().spans == []
