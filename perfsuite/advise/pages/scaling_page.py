"""The page of a measurement of scaling."""

from __future__ import annotations

from perfsuite.advise.scaling import ScalingResult
from perfsuite.judge.units import MetricKind
from perfsuite.measure.environment import detect_environment
from perfsuite.report.page.document import Document, Section
from perfsuite.report.page.plots import Bar, BarPlot
from perfsuite.report.page.quantities import PercentKind, format_interval_of


def scaling_document(result: ScalingResult, command: str = "") -> Document:
    """Make the page."""
    low, high = result.efficiency.low, result.efficiency.high
    ideal = result.ranks * result.single_rank_images_per_second
    speed = BarPlot(
        title="Images per second",
        value_label="images per second",
        bars=(
            Bar("one rank alone", result.single_rank_images_per_second),
            Bar(f"{result.ranks} ranks together", result.images_per_second, ideal * low, ideal * high),
            Bar(f"{result.ranks} ranks without any loss", ideal),
        ),
        kind=MetricKind.RATE,
        caption="The interval is that of the efficiency.",
    )
    kept = Bar("each rank", result.images_per_second / ideal, low, high)
    share = BarPlot(
        title="Efficiency",
        value_label="share of its speed alone that a rank keeps",
        bars=(kept,),
        kind=PercentKind.SHARE,
        reference=1.0,
        reference_label="no loss",
    )
    interval = format_interval_of(low, high, PercentKind.SHARE)
    return Document(
        stem="scaling",
        title=f"Scaling to {result.ranks} ranks",
        summary=(
            f"{result.ranks} ranks train {result.images_per_second:,.0f} images per second, one alone "
            f"{result.single_rank_images_per_second:,.0f}.",
            f"Each keeps {interval} of its speed alone ({result.blocks} blocks of turns).",
            f"A step exchanges {result.all_reduces} all-reduces, {result.all_reduced_bytes:,} bytes.",
        ),
        sections=(Section("Speed", (speed, share)),),
        environment=detect_environment(),
        command=command,
    )
