"""Spans in the trace event format that chrome://tracing and Perfetto read."""

from __future__ import annotations

import json
from collections.abc import Sequence

from perfsuite.measure.stage_clock import StageSpan


def render_chrome_trace(spans: Sequence[StageSpan]) -> str:
    """Render complete events (`"ph": "X"`), in microseconds from the first begin.

    >>> render_chrome_trace([StageSpan("decode", 5.0, 5.002)])
    '{"displayTimeUnit": "ms", "traceEvents": [{"name": "decode", "ph": "X", "ts": 0.0, "dur": 2000.0, \
"pid": 1, "tid": 1}]}'
    """
    start = min((span.begin for span in spans), default=0.0)
    threads = {
        thread: number for number, thread in enumerate(dict.fromkeys(each.thread for each in spans), 1)
    }
    events = [
        {
            "name": span.stage,
            "ph": "X",
            "ts": round(1e6 * (span.begin - start), 3),
            "dur": round(1e6 * (span.end - span.begin), 3),
            "pid": 1,
            "tid": threads[span.thread],
        }
        for span in spans
    ]
    return json.dumps({"displayTimeUnit": "ms", "traceEvents": events})
