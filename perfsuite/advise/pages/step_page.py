"""The page of a profile of a training step."""

from __future__ import annotations

from math import isfinite

from perfsuite.advise.confidence import LEVEL
from perfsuite.advise.pages.stage_timeline import stage_timeline
from perfsuite.advise.profile.step import StepProfile
from perfsuite.judge.order_statistics import median_interval, quantile
from perfsuite.judge.units import MetricKind
from perfsuite.measure.environment import detect_environment
from perfsuite.report.page.document import Document, Section, Table
from perfsuite.report.page.plots import Bar, BarPlot, Distribution, SampleGroup, StackedBar, StackedBarPlot
from perfsuite.report.page.quantities import PercentKind, format_interval_of, format_value

SECONDS, SHARE = MetricKind.SECONDS, PercentKind.SHARE


def step_document(profile: StepProfile, command: str = "") -> Document:
    """Make the page."""
    slowest = profile.slowest_first[0]
    loading = profile.share(*profile.loading_stages).value
    return Document(
        stem="step",
        title="Stages of a training step",
        summary=(
            f"{slowest} takes {profile.share(slowest).value:.0%} of a batch; loading takes {loading:.0%}.",
            f"{profile.batches} batches of {profile.images_per_batch:.0f} images, all stages in one thread.",
            *(() if profile.is_complete else ("Interrupted: these are the results until then.",)),
        ),
        sections=(
            Section("Stages", (_stacked(profile), _bars(profile), _table(profile))),
            Section(
                "Samples", (_distribution(profile), *stage_timeline(profile.spans, skip=_warmup(profile)))
            ),
        ),
        environment=detect_environment(),
        command=command,
    )


def _warmup(profile: StepProfile) -> int:
    """The stages of the first batch, which allocates and compiles; half of all where they are few."""
    optimize = next((n for n, span in enumerate(profile.spans) if span.stage == "optimize"), -1)
    return min(optimize + 1, len(profile.spans) // 2)


def _stacked(profile: StepProfile) -> StackedBarPlot:
    parts = {name: profile.mean_seconds(name) for name in profile.slowest_first}
    return StackedBarPlot(
        title="Time of a batch",
        value_label="time of a batch, without overlap",
        bars=(StackedBar("all stages", parts),),
        kind=SECONDS,
    )


def _bars(profile: StepProfile) -> BarPlot:
    bars = []
    for name in profile.slowest_first:
        interval = median_interval(profile.stage_seconds[name], LEVEL)
        median = quantile(profile.stage_seconds[name], 0.5)
        bars.append(Bar(name, median, interval.low, interval.high))
    return BarPlot(
        title="Time by stage",
        value_label="time of a batch",
        bars=tuple(bars),
        kind=SECONDS,
        caption="Medians of the batches with 99 % intervals.",
    )


def _table(profile: StepProfile) -> Table:
    rows = []
    for name in profile.slowest_first:
        share = profile.share(name)
        bounds = [profile.bound_without_overlap(name)]
        overlapped = profile.bound_with_overlap(name)
        bounds += [] if overlapped is None else [overlapped]
        rows.append(
            (
                name,
                format_value(profile.mean_seconds(name), SECONDS),
                format_value(share.value, SHARE),
                format_interval_of(share.interval.low, share.interval.high, SHARE),
                *(f"{each:.2f} x" if isfinite(each) else "all" for each in bounds),
            )
        )
    has_workers = profile.loading_seconds_with_workers is not None
    workers = (f"with {profile.num_workers} workers",) if has_workers else ()
    return Table(
        columns=("stage", "mean", "share", "99 %", "without it at most", *workers),
        rows=tuple(rows),
        caption="Amdahl's bound: how many times as fast without the stage",
    )


def _distribution(profile: StepProfile) -> Distribution:
    groups = [SampleGroup("whole batch", profile.batch_seconds)]
    groups += [SampleGroup(name, profile.stage_seconds[name]) for name in profile.slowest_first]
    return Distribution(title="Batch times", value_label="time of a batch", groups=tuple(groups))
