"""The page of a profile of loading."""

from __future__ import annotations

from perfsuite.advise.confidence import LEVEL
from perfsuite.advise.pages.stage_timeline import stage_timeline
from perfsuite.advise.profile.cold_files import ColdFileTimes, NoColdFiles
from perfsuite.advise.profile.loading import LoadingProfile, StageRate
from perfsuite.judge.order_statistics import median_interval
from perfsuite.judge.units import MetricKind
from perfsuite.measure.environment import detect_environment
from perfsuite.report.page.document import Block, Document, ItemList, Section, Table
from perfsuite.report.page.plots import Bar, BarPlot, Distribution, SampleGroup, StackedBar, StackedBarPlot
from perfsuite.report.page.quantities import format_value

SECONDS = MetricKind.SECONDS


def loading_document(
    profile: LoadingProfile, cold_files: ColdFileTimes | NoColdFiles | None = None, command: str = ""
) -> Document:
    """Make the page."""
    slowest = profile.slowest
    bound = f"without it, loading is at most {profile.max_speedup(slowest):.2f} times as fast"
    return Document(
        stem="loading",
        title="Stages of loading",
        summary=(
            f"{profile.images_per_second:,.0f} images per second on one core, through all stages.",
            f"The slowest stage is {slowest.name} ({slowest.share:.0%}); {bound}.",
            *(() if profile.is_complete else ("Interrupted: these are the results until then.",)),
        ),
        sections=(
            Section("Recommendations", (ItemList(_advice(profile)),)),
            Section("Stages", (*_plots(profile), _table(profile))),
            *(() if cold_files is None else (Section("Cold files", (_cold_files(cold_files),)),)),
            Section("Samples", (_distribution(profile), *stage_timeline(profile.spans))),
        ),
        environment=detect_environment(),
        command=command,
    )


def _advice(profile: LoadingProfile) -> tuple[str, ...]:
    return tuple(
        f"{stage.name} ({stage.share:.0%}): {stage.advice}"
        for stage in profile.stages
        if stage.advice and (stage is profile.slowest or stage.share > 0.2)
    ) or (f"{profile.slowest.name} takes most of the time.",)


def _plots(profile: LoadingProfile) -> tuple[Block, ...]:
    parts = {stage.name: 1 / stage.images_per_second for stage in profile.stages}
    return (
        StackedBarPlot(
            title="Time of an image",
            value_label="time of an image on one core",
            bars=(StackedBar("all stages", parts),),
            kind=SECONDS,
        ),
        BarPlot(
            title="Time by stage",
            value_label="time of an image",
            bars=tuple(_bar(stage) for stage in profile.stages),
            kind=SECONDS,
            caption="Bars are means; lines are 99 % intervals of the median of the batches.",
        ),
    )


def _bar(stage: StageRate) -> Bar:
    mean = 1 / stage.images_per_second
    if not stage.batch_seconds:
        return Bar(stage.name, mean)
    interval = median_interval(stage.batch_seconds, LEVEL)
    return Bar(stage.name, mean, interval.low, interval.high)


def _table(profile: LoadingProfile) -> Table:
    return Table(
        columns=("stage", "images", "share", "without it at most"),
        rows=tuple(
            (
                stage.name,
                format_value(stage.images_per_second, MetricKind.RATE),
                f"{stage.share:.1%}".replace("%", " %"),
                f"{profile.max_speedup(stage):.2f} x",
            )
            for stage in profile.stages
        ),
    )


def _cold_files(times: ColdFileTimes | NoColdFiles) -> Block:
    if isinstance(times, NoColdFiles):
        return f"Not measured: {times.reason}"
    sides = {"cold": times.cold, "in the page cache": times.warm}
    return BarPlot(
        title="Reading a file",
        value_label="time of a file",
        bars=tuple(
            Bar(name, each.value, each.interval.low, each.interval.high) for name, each in sides.items()
        ),
        kind=SECONDS,
        caption=f"{times.files} files, in turns.",
    )


def _distribution(profile: LoadingProfile) -> Distribution:
    return Distribution(
        title="Batches by stage",
        value_label="time of an image, mean of a batch",
        groups=tuple(SampleGroup(stage.name, stage.batch_seconds) for stage in profile.stages),
    )
