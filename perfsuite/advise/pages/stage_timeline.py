"""The first stages of a profile as lanes: the loader, and the device that trains."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.measure.stage_clock import StageSpan
from perfsuite.report.page.plots import Timeline, TimelineLane, TimelineSpan
from perfsuite.stages import STEP_STAGES

MAX_SPANS_DRAWN = 400


def stage_timeline(spans: Sequence[StageSpan], skip: int = 0) -> tuple[Timeline, ...]:
    """Make the timeline of a few batches; `skip` counts stages that are left out, such as a warm-up."""
    shown = sorted(spans, key=lambda span: span.begin)[skip : skip + MAX_SPANS_DRAWN]
    if not shown:
        return ()
    lanes = {
        "loader": [span for span in shown if span.stage not in STEP_STAGES],
        "training step": [span for span in shown if span.stage in STEP_STAGES],
    }
    return (
        Timeline(
            title="Timeline",
            lanes=tuple(
                TimelineLane(name, tuple(TimelineSpan(span.stage, span.begin, span.end) for span in lane))
                for name, lane in lanes.items()
                if lane
            ),
            caption=f"{len(shown)} stages of one thread; an inner stage is drawn over its outer one.",
        ),
    )
