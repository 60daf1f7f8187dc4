"""The page of a worker sweep."""

from __future__ import annotations

from dataclasses import asdict
from statistics import median

from perfsuite.advise.pages.compared_settings import setting_table, wait_distribution, worker_curve
from perfsuite.advise.sweep.advice import advise_on_sweep
from perfsuite.advise.sweep.goals import check_goals
from perfsuite.advise.sweep.report import SweepReport
from perfsuite.advise.sweep.setting_result import PLAIN_MODE, BatchWaitTimes
from perfsuite.judge.units import MetricKind
from perfsuite.measure.environment import detect_environment
from perfsuite.report.page.document import Block, Document, ItemList, Section, Table
from perfsuite.report.page.plots import Bar, BarPlot, StackedBar, StackedBarPlot
from perfsuite.report.page.quantities import PercentKind, format_value
from perfsuite.report.pages.verdicts import badge

KNEE_RULE = "the cheapest setting that is not shown to be slower than the fastest"


def sweep_document(report: SweepReport, command: str = "") -> Document:
    """Make the page: the choice first, then the curve, the modes, the waiting times and the resources."""
    advice, choice = advise_on_sweep(report), report.choice()
    settings = (
        worker_curve(report, choice.result, KNEE_RULE),
        setting_table(report, choice.result, "the knee" if choice.is_clear else "the knee?"),
    )
    interrupted = () if report.is_complete else ("Interrupted: these are the results until then.",)
    sections = (
        Section("Recommendations", (ItemList(tuple(advice)),)),
        Section("Settings", settings),
        Section("Goals", _checks(report)),
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


def _checks(report: SweepReport) -> tuple[Block, ...]:
    verdicts = check_goals(report, report.choice().result)
    rows = tuple((badge(each.outcome), each.reason) for each in verdicts)
    return (Table(columns=("outcome", "goal"), rows=rows),) if rows else ()


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
    return (*wait_distribution(report), Table(columns=columns, rows=tuple(rows)))


def _plot_step(report: SweepReport) -> tuple[Block, ...]:
    """The time of an image in the loader and in the training step: settings may differ in batch size."""
    if not report.step_seconds_per_image:
        return ()
    step = median(report.step_seconds_per_image)
    bars = [Bar(f"loading: {each.setting.label}", median(each.seconds_per_image)) for each in report.results]
    return (
        BarPlot(
            title="Loader against training step",
            value_label="time of an image",
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
