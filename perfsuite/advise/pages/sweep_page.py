"""The page of a worker sweep."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from statistics import median

from perfsuite.advise.sweep.advice import advise_on_sweep
from perfsuite.advise.sweep.report import RelativeSpeed, SweepReport
from perfsuite.advise.sweep.setting_result import PLAIN_MODE, BatchWaitTimes, SettingResult
from perfsuite.advise.sweep.targets import check_targets
from perfsuite.advise.time_limit import format_duration
from perfsuite.judge.units import MetricKind
from perfsuite.measure.environment import detect_environment
from perfsuite.report.page.document import Badge, Block, Document, ItemList, Section, Table, Tone
from perfsuite.report.page.plots import (
    Bar,
    BarPlot,
    Distribution,
    LinePlot,
    LinePoint,
    LineSeries,
    PlotMark,
    SampleGroup,
    StackedBar,
    StackedBarPlot,
)
from perfsuite.report.page.quantities import PercentKind, format_interval_of, format_value
from perfsuite.report.pages.verdicts import badge

SPEED_TONES = {
    RelativeSpeed.AS_FAST: Tone.GOOD,
    RelativeSpeed.SLOWER: Tone.PLAIN,
    RelativeSpeed.UNCLEAR: Tone.UNCLEAR,
}
RATE = MetricKind.RATE


def sweep_document(report: SweepReport, command: str = "") -> Document:
    """Make the page: the choice first, then the curve, the modes, the waiting times and the resources."""
    advice = advise_on_sweep(report)
    interrupted = () if report.is_complete else ("Interrupted: these are the results until then.",)
    sections = (
        Section("Recommendations", (ItemList(tuple(advice)),)),
        Section("Settings", (*plot_worker_curve(report), _rate_table(report))),
        Section("Targets", _checks(report)),
        Section("Augmentation modes", _plot_modes(report)),
        Section("Batch times", _batch_times(report)),
        Section("Loading and training", _plot_step(report)),
        Section("Memory and cores", _resources(report)),
        Section("Settings that could not load", _failures(report)),
    )
    return Document(
        stem="sweep",
        title="Worker sweep",
        summary=(advice[0], f"{report.blocks} blocks of turns, files in the page cache.", *interrupted),
        sections=sections,
        environment=detect_environment(),
        command=command,
    )


def plot_worker_curve(report: SweepReport) -> tuple[LinePlot, ...]:
    """Images per second by the number of workers; a line for each engine and prefetch factor."""
    series: dict[str, list[LinePoint]] = defaultdict(list)
    with_workers = {_series_name(each) for each in report.results if each.setting.num_workers}
    for result in report.results:
        rate = result.images_per_second
        point = LinePoint(result.setting.num_workers, rate.value, rate.interval.low, rate.interval.high)
        # No workers is where every line begins.
        names = [_series_name(result)] if result.setting.num_workers else with_workers or {"no workers"}
        for name in sorted(names):
            series[name].append(point)
    choice = report.choice()
    sure = "" if choice.is_clear else "?"
    mark = PlotMark(choice.result.setting.num_workers, f"the knee{sure}: {choice.result.setting.label}")
    return (
        LinePlot(
            title="Worker curve",
            x_label="workers",
            y_label="images per second",
            series=tuple(LineSeries(name, tuple(points)) for name, points in series.items()),
            kind=RATE,
            marks=(mark,),
            caption="Medians of turns with 99 % intervals.",
        ),
    )


def _series_name(result: SettingResult) -> str:
    return f"{result.setting.engine} +{result.setting.prefetch_factor}"


def _rate_table(report: SweepReport) -> Table:
    chosen, rows = report.choice().result, []
    for result in report.results:
        rate, speedup, epoch = result.images_per_second, report.speedup(result), report.loading_epoch(result)
        speed = report.relative_speed(result)
        rows.append(
            (
                result.setting.label,
                format_value(rate.value, RATE),
                format_interval_of(rate.interval.low, rate.interval.high, RATE),
                format_value(rate.value / report.batch_size, RATE),
                f"{speedup.value:.2f}",
                "" if epoch is None else format_duration(epoch.value),
                Badge("the knee", Tone.GOOD) if result is chosen else Badge(str(speed), SPEED_TONES[speed]),
            )
        )
    return Table(
        columns=("workers", "images", "99 %", "batches", "times", "epoch", "speed"),
        rows=tuple(rows),
        caption="+2: batches loaded ahead; times: over the setting with the fewest workers",
    )


def _checks(report: SweepReport) -> tuple[Block, ...]:
    verdicts = check_targets(report, report.choice().result)
    rows = tuple((badge(each.outcome), each.reason) for each in verdicts)
    return (Table(columns=("outcome", "target"), rows=rows),) if rows else ()


def _plot_modes(report: SweepReport) -> tuple[Block, ...]:
    """What each augmentation mode costs over plain images, in the chosen setting."""
    chosen = report.choice().result
    modes = {report.augmentation_mode or "augmented": chosen.seconds_per_image, **chosen.other_modes}
    bars = []
    for mode, seconds in modes.items():
        overhead = chosen.overhead_of(seconds)
        if mode != PLAIN_MODE and overhead is not None:
            bars.append(Bar(mode, overhead.value, overhead.interval.low, overhead.interval.high))
    if not bars:
        return ()
    return (
        BarPlot(
            title="Cost of augmentation",
            value_label="time over that without augmentation",
            bars=tuple(bars),
            kind=PercentKind.CHANGE,
            caption=f"With {chosen.setting.label}.",
        ),
    )


def _batch_times(report: SweepReport) -> tuple[Block, ...]:
    waited = [result for result in report.results if result.batch_seconds]
    if not waited:
        return ()
    rows = []
    for result in waited:
        times = asdict(BatchWaitTimes.of(result.batch_seconds)).values()
        first = median(result.first_batch_seconds) if result.first_batch_seconds else None
        cells = (format_value(each, MetricKind.SECONDS) for each in (*times, first))
        rows.append((result.setting.label, *cells))
    columns = ("workers", "min", "mean", "max", "std", "p50", "p90", "p95", "p99", "first")
    return (
        Distribution(
            title="Waiting for a batch",
            value_label="time until the next batch",
            groups=tuple(SampleGroup(each.setting.label, each.batch_seconds) for each in waited),
            caption="Without the first batch of each turn, which waits for the pipeline to fill.",
        ),
        Table(columns=columns, rows=tuple(rows)),
    )


def _plot_step(report: SweepReport) -> tuple[Block, ...]:
    """The time of a batch in the loader and in the training step, side by side."""
    if not report.step_seconds_per_image:
        return ()
    step = median(report.step_seconds_per_image) * report.batch_size
    loading = {each.setting.label: median(each.seconds_per_image) for each in report.results}
    bars = [Bar(f"loading: {label}", seconds * report.batch_size) for label, seconds in loading.items()]
    return (
        BarPlot(
            title="Loader against training step",
            value_label="time of a batch",
            bars=(*bars, Bar("training step", step)),
            kind=MetricKind.SECONDS,
            reference=step,
            reference_label="step",
            caption="Loading that takes longer than the step makes the device wait.",
        ),
    )


def _resources(report: SweepReport) -> tuple[Block, ...]:
    memory = tuple(
        Bar(result.setting.label, result.memory.peak_growth_bytes)
        for result in report.results
        if result.memory is not None
    )
    cores = tuple(
        StackedBar(
            result.setting.label,
            {
                "thread that takes the batches": result.core_use.main_thread,
                "workers": result.core_use.workers,
            },
        )
        for result in report.results
        if result.core_use is not None
    )
    blocks: list[Block] = []
    if memory:
        blocks.append(
            BarPlot(title="Growth of host memory", value_label="memory", bars=memory, kind=MetricKind.BYTES)
        )
        blocks.append(_memory_table(report))
    if cores:
        blocks.append(StackedBarPlot(title="Cores in use", value_label="cores", bars=cores))
    return tuple(blocks)


def _memory_table(report: SweepReport) -> Table:
    """Memory by setting, and of the training step, the only part that uses the device."""
    sizes: dict[str, tuple[int | None, ...]] = {
        each.setting.label: (memory.batch_bytes, memory.prefetch_bytes, memory.worker_bytes, None)
        for each in report.results
        if (memory := each.memory) is not None
    }
    if report.step_seconds_per_image:
        sizes["training step"] = (None, None, None, report.device_peak_bytes)
    return Table(
        columns=("", "a batch", "batches loaded ahead", "worker processes", "device"),
        rows=tuple(
            (label, *(format_value(size, MetricKind.BYTES) for size in each)) for label, each in sizes.items()
        ),
    )


def _failures(report: SweepReport) -> tuple[Block, ...]:
    return (
        (Table(columns=("setting", "why"), rows=tuple(report.failures.items())),) if report.failures else ()
    )
