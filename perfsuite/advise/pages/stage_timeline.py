"""The first stages of a profile as lanes: the loader, and the device that trains."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.measure.stage_clock import StageSpan
from perfsuite.report.page.plots import Timeline, TimelineLane, TimelineSpan

TRAINING_STAGES = ("transfer", "forward", "backward", "optimize")
MAX_SPANS = 400


def stage_timeline(spans: Sequence[StageSpan], skip: int = 0) -> tuple[Timeline, ...]:
    """Make the timeline of a few batches; `skip` counts stages that are left out, such as a warm-up."""
    shown = sorted(spans, key=lambda span: span.begin)[skip : skip + MAX_SPANS]
    if not shown:
        return ()
    lanes = {
        "loader": [span for span in shown if span.stage not in TRAINING_STAGES],
        "training step": [span for span in shown if span.stage in TRAINING_STAGES],
    }
    return (
        Timeline(
            title="Timeline",
            lanes=tuple(
                TimelineLane(name, tuple(TimelineSpan(span.stage, span.begin, span.end) for span in own))
                for name, own in lanes.items()
                if own
            ),
            caption=f"{len(shown)} stages of one thread; an inner stage is drawn over its outer one.",
        ),
    )
