"""Loader settings that took turns: the curve over the workers, the table, and the times of waiting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import isfinite

from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.report import RelativeSpeed, SweepReport
from perfsuite.advise.sweep.setting_result import SettingResult
from perfsuite.advise.time_limit import format_duration
from perfsuite.judge.metrics import MetricEstimate
from perfsuite.judge.units import MetricKind
from perfsuite.report.page.document import Badge, Table, Tone
from perfsuite.report.page.plots import (
    Distribution,
    LinePlot,
    LinePoint,
    LineSeries,
    PlotMark,
    SampleGroup,
)
from perfsuite.report.page.quantities import format_interval_of, format_value

RATE = MetricKind.RATE
SPEED_TONES = {
    RelativeSpeed.AS_FAST: Tone.GOOD,
    RelativeSpeed.SLOWER: Tone.PLAIN,
    RelativeSpeed.UNCLEAR: Tone.UNCLEAR,
}


def worker_curve(report: SweepReport, knee: SettingResult, rule: str) -> LinePlot:
    """Images per second by the number of workers; a line for each engine, with its other options.

    `rule` says how the knee was chosen. Its mark has a question mark where the turns left the choice open.
    """
    series: dict[str, list[LinePoint]] = defaultdict(list)
    settings = [result.setting for result in report.results]
    for result in report.results:
        rate = result.images_per_second
        point = LinePoint(result.setting.num_workers, rate.value, *finite_ends(rate))
        for name in sorted(_lines_through(result.setting, settings)):
            series[name].append(point)
    sure = "" if report.choice().is_clear else "?"
    return LinePlot(
        title="Worker curve",
        x_label="workers",
        y_label="images per second",
        series=tuple(LineSeries(name, tuple(points)) for name, points in series.items()),
        kind=RATE,
        marks=(PlotMark(knee.setting.num_workers, f"the knee{sure}: {knee.setting.label}"),),
        caption=f"Medians of turns with 99 % intervals. The knee is {rule}.",
    )


def setting_table(report: SweepReport, chosen: SettingResult, word: str) -> Table:
    """A row for each setting; `word` marks the chosen one."""
    rows = []
    for result in report.results:
        rate, epoch = result.images_per_second, report.loading_epoch(result)
        speed = report.relative_speed(result)
        rows.append(
            (
                result.setting.label,
                format_value(rate.value, RATE),
                format_interval_of(rate.interval.low, rate.interval.high, RATE),
                format_value(rate.value / report.batch_size_of(result), RATE),
                f"{report.speedup(result).value:.2f}",
                "" if epoch is None else format_duration(epoch.value),
                str(len(result.seconds_per_image)),
                Badge(word if result is chosen else str(speed), SPEED_TONES[speed]),
            )
        )
    return Table(
        columns=("workers", "images", "99 %", "batches", "times", "epoch", "blocks", "speed"),
        rows=tuple(rows),
        caption="+2: batches loaded ahead; times: over the setting with the fewest workers",
    )


def wait_distribution(report: SweepReport) -> tuple[Distribution, ...]:
    """How long the caller waits for a batch, by setting; empty where no turn had a second batch."""
    groups = tuple(
        SampleGroup(each.setting.label, each.batch_seconds) for each in report.results if each.batch_seconds
    )
    if not groups:
        return ()
    return (
        Distribution(
            title="Waiting for a batch",
            value_label="time until the next batch",
            groups=groups,
            caption="Without the first batch of each turn, which waits for the pipeline to fill.",
        ),
    )


def finite_ends(estimate: MetricEstimate) -> tuple[float | None, float | None]:
    """The ends of the interval for a plot; none where there are too few samples."""
    low, high = estimate.interval.low, estimate.interval.high
    return (low, high) if isfinite(low) and isfinite(high) else (None, None)


def _lines_through(setting: LoaderSetting, settings: Sequence[LoaderSetting]) -> set[str]:
    """The line of the setting; without workers, the lines that begin with its decoder and batch size."""
    if setting.num_workers:
        return {_line_name(setting)}
    start = (setting.decoder, setting.batch_size)
    lines = {
        _line_name(each) for each in settings if each.num_workers and (each.decoder, each.batch_size) == start
    }
    return lines or {"no workers"}


def _line_name(setting: LoaderSetting) -> str:
    """The label without the number of workers."""
    return setting.label.partition(" ")[2]
