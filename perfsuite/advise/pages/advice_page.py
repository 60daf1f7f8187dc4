"""The page of `perfsuite advise`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from perfsuite.advise.bottleneck.diagnosis import stage_shares
from perfsuite.advise.loader_advice import words
from perfsuite.advise.loader_advice.result import LoaderAdvice, mode_rows
from perfsuite.advise.pages.compared_settings import (
    finite_ends,
    setting_table,
    wait_distribution,
    worker_curve,
)
from perfsuite.advise.sweep.goals import check_goals
from perfsuite.advise.sweep.report import EQUIVALENCE_MARGIN
from perfsuite.judge.metrics import MetricEstimate
from perfsuite.judge.units import MetricKind
from perfsuite.measure.measurement import Environment
from perfsuite.report.page.document import Block, Document, ItemList, Listing, Section, Table
from perfsuite.report.page.plots import (
    Bar,
    BarPlot,
    StackedBar,
    StackedBarPlot,
    Timeline,
    TimelineLane,
    TimelineSpan,
)
from perfsuite.report.page.quantities import PercentKind
from perfsuite.report.pages.verdicts import badge

KNEE_RULE = (
    "the cheapest setting that is not shown to be slower than the fastest, and whose median time is at most "
    f"{EQUIVALENCE_MARGIN:.0%} longer"
)


def advice_document(
    advice: LoaderAdvice, settings_file: Path, environment: Environment | None, command: str = ""
) -> Document:
    """Summary and settings first, then each measurement with its plot, then goals and notes."""
    sections = (
        Section("What to set", tuple(_setting_blocks(advice, settings_file))),
        Section("The bottleneck", tuple(_pipeline_blocks(advice))),
        Section("Settings compared", tuple(_race_blocks(advice))),
        Section("Batches, memory, cores", tuple(_resource_blocks(advice))),
        Section("Goals", (_goal_table(advice),)),
        Section("Notes", (ItemList(tuple(words.further_lines(advice))),)),
    )
    return Document(
        stem="advise",
        title=f"Loader settings for {advice.subject}",
        summary=_summary(advice),
        sections=tuple(section for section in sections if any(_has_content(each) for each in section.blocks)),
        environment=environment,
        command=command,
    )


def _has_content(block: Block) -> bool:
    return not isinstance(block, ItemList) or bool(block.items)


def _summary(advice: LoaderAdvice) -> tuple[str, ...]:
    interrupted = () if advice.is_complete else ("interrupted: these are the results until then",)
    return (*words.setting_lines(advice, None), *words.verdict_lines(advice)[:1], *interrupted)


def _setting_blocks(advice: LoaderAdvice, settings_file: Path) -> Iterator[Block]:
    yield Listing(advice.speed_settings.to_toml().rstrip())
    yield ItemList(tuple(words.setting_lines(advice, str(settings_file))[1:]))
    yield ItemList((words.knee_line(advice), *words.estimate_lines(advice), *words.resource_lines(advice)))


def _pipeline_blocks(advice: LoaderAdvice) -> Iterator[Block]:
    yield ItemList(tuple(line.strip() for line in words.verdict_lines(advice)))
    rows = mode_rows(advice)
    if rows:
        yield BarPlot(
            title="The pipeline with one thing left out at a time",
            value_label="images per second",
            kind=MetricKind.RATE,
            bars=tuple(_rate_bar(row.name, row.rate) for row in rows),
            caption="all sides took turns in the same blocks; bars have 99 % intervals",
        )
    if advice.times is not None and advice.times.stage_seconds:
        shares = dict(stage_shares(advice.times.stage_seconds))
        yield StackedBarPlot(
            title="Stages of loading an image on one core",
            value_label="share of the time",
            kind=PercentKind.SHARE,
            bars=(StackedBar("loading", shares),),
        )
    if advice.training_spans:
        spans = [TimelineSpan(span.name, span.begin, span.end) for span in advice.training_spans]
        yield Timeline(
            title="A turn of training",
            lanes=(TimelineLane("training thread", tuple(spans)),),
            caption="where the thread waits for batches, loading is the bottleneck",
        )


def _race_blocks(advice: LoaderAdvice) -> Iterator[Block]:
    for race in advice.tuning.races:
        yield words.RACE_TITLES[race.subject]
        if race.subject == "workers":
            yield worker_curve(race.report, race.winner, KNEE_RULE)
        yield setting_table(race.report, race.winner, "chosen")


def _resource_blocks(advice: LoaderAdvice) -> Iterator[Block]:
    results = advice.report.results
    yield from wait_distribution(advice.report)
    memory = advice.result.memory
    if memory is not None:
        sizes = {
            "a batch": memory.batch_bytes,
            "batches loaded ahead": memory.prefetch_bytes,
            "growth of the host's memory": memory.peak_growth_bytes,
        }
        if memory.worker_bytes is not None:
            sizes["worker processes"] = memory.worker_bytes
        if advice.device_peak_bytes is not None:
            sizes["the device"] = advice.device_peak_bytes
        yield BarPlot(
            title="Memory of the advised setting",
            value_label="bytes",
            kind=MetricKind.BYTES,
            bars=tuple(Bar(name, size) for name, size in sizes.items()),
        )
    rows = [
        (result.setting.label, f"{use.main_thread:.2f}", f"{use.workers:.2f}")
        for result in results
        if (use := result.core_use) is not None
    ]
    yield Table(columns=("setting", "cores, main thread", "cores, workers"), rows=tuple(rows))


def _goal_table(advice: LoaderAdvice) -> Table:
    verdicts = check_goals(advice.report, advice.result)
    rows = tuple((each.metric or "", badge(each.outcome), each.reason) for each in verdicts)
    return Table(columns=("goal", "outcome", "reason"), rows=rows)


def _rate_bar(name: str, rate: MetricEstimate) -> Bar:
    return Bar(name, rate.value, *finite_ends(rate))
