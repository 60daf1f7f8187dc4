"""Print a sweep in tables of 80 columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from math import isfinite
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perfsuite.advise.confidence import MIN_BLOCKS
from perfsuite.advise.sweep.advice import advise_on_sweep
from perfsuite.advise.sweep.goals import check_goals
from perfsuite.advise.sweep.report import RelativeSpeed, SweepReport
from perfsuite.advise.sweep.setting_result import PLAIN_MODE, BatchWaitTimes, SettingResult, estimate_rate
from perfsuite.advise.time_limit import format_duration
from perfsuite.judge.metrics import MetricEstimate
from perfsuite.judge.units import MetricKind, format_quantity, format_significant
from perfsuite.report.terminal.run_table import OUTCOME_STYLES

SPEED_STYLES = {
    RelativeSpeed.AS_FAST: "green",
    RelativeSpeed.SLOWER: "dim",
    RelativeSpeed.UNCLEAR: "bold magenta",
}


def print_sweep(report: SweepReport, console: Console) -> None:
    """Print rates, waiting times and resources, then the checks of the chosen setting, then the advice."""
    chosen = report.choice().result
    console.print(f"{report.blocks} blocks of turns, files in the page cache; +2: batches loaded ahead")
    console.print(_rate_table(report, chosen))
    if chosen.other_modes:
        console.print(
            "Augmentation modes: images/s, and the cost as a share of a batch's time and over plain"
        )
        console.print(_mode_table(report))
    console.print("Waiting for a batch, in ms; the first batch of each turn in its own column")
    console.print(wait_table(report))
    print_resources(report, console)
    for verdict in check_goals(report, chosen):
        console.print(
            Text(f"{verdict.outcome}: ", style=OUTCOME_STYLES[verdict.outcome]) + Text(verdict.reason)
        )
    console.print()
    for line in advise_on_sweep(report):
        console.print(Text(line))
    if not report.is_complete:
        console.print("interrupted: these are the results until then")
    elif report.blocks < MIN_BLOCKS:
        console.print(
            f"the time was over after {report.blocks} of the {MIN_BLOCKS} blocks that intervals need; "
            "give more --seconds, or fewer settings"
        )


def _rate_table(report: SweepReport, chosen: SettingResult) -> Table:
    table = make_table("images/s", "99 %", "batches/s", "times", "epoch", "")
    for result in report.results:
        rate, epoch = result.images_per_second, report.loading_epoch(result)
        speed = report.relative_speed(result)
        table.add_row(
            result.setting.label,
            format_significant(rate.value),
            format_ends(rate, format_significant),
            format_significant(rate.value / report.batch_size_of(result)),
            f"{report.speedup(result).value:.2f}",
            "" if epoch is None else format_duration(epoch.value),
            Text(_speed_label(speed, result is chosen), style=SPEED_STYLES[speed]),
        )
    return table


def _mode_table(report: SweepReport) -> Table:
    """A row for each setting and mode; the plain mode comes last and costs nothing."""
    table = make_table("mode", "images/s", "99 %", "share", "99 %", "over plain")
    for result in report.results:
        modes = {report.augmentation_mode or "": result.seconds_per_image, **result.other_modes}
        for mode, seconds in modes.items():
            rate, costs = estimate_rate(seconds), ("", "", "")
            share, overhead = result.overhead_share_of(seconds), result.overhead_of(seconds)
            if share is not None and overhead is not None and mode != PLAIN_MODE:
                costs = (f"{share.value:.0%}", format_ends(share, _percent), f"{overhead.value:+.0%}")
            interval = format_ends(rate, format_significant)
            table.add_row(result.setting.label, mode, format_significant(rate.value), interval, *costs)
    return table


def _speed_label(speed: RelativeSpeed, is_chosen: bool) -> str:
    if not is_chosen:
        return str(speed)
    return "the knee" if speed is RelativeSpeed.AS_FAST else "the knee?"


def wait_table(report: SweepReport) -> Table:
    table = make_table("min", "mean", "max", "std", "p50", "p90", "p95", "p99", "first")
    for result in report.results:
        if result.batch_seconds:
            times = asdict(BatchWaitTimes.of(result.batch_seconds)).values()
            first = median(result.first_batch_seconds)
            cells = (format_significant(1000 * seconds) for seconds in (*times, first))
            table.add_row(result.setting.label, *cells)
    return table


def print_resources(report: SweepReport, console: Console) -> None:
    console.print("Cores in use, and their share of the machine")
    console.print(_core_table(report))
    console.print("Memory: a batch, the batches loaded ahead, worker processes, growth of all processes")
    console.print(_memory_table(report))


def _core_table(report: SweepReport) -> Table:
    cores_here = 1 if report.machine is None else report.machine.cores
    table = make_table("main", "workers", "machine")
    for result in report.results:
        if (cores := result.core_use) is not None:
            share = f"{cores.machine_share(cores_here):.0%}"
            table.add_row(result.setting.label, f"{cores.main_thread:.2f}", f"{cores.workers:.2f}", share)
    return table


def _memory_table(report: SweepReport) -> Table:
    """A row for each setting, and one for the training step, the only part that uses the device."""
    table = make_table("a batch", "prefetched", "workers", "growth", "device")
    for result in report.results:
        if (memory := result.memory) is not None:
            sizes = (memory.batch_bytes, memory.prefetch_bytes, memory.worker_bytes, memory.peak_growth_bytes)
            table.add_row(result.setting.label, *map(_format_bytes, (*sizes, None)))
    if report.step_seconds_per_image:
        table.add_row(
            "training step", *map(_format_bytes, (None, None, None, None, report.device_peak_bytes))
        )
    return table


def _format_bytes(size: int | None) -> str:
    return "-" if size is None else format_quantity(size, MetricKind.BYTES)


def make_table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("workers", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def format_ends(estimate: MetricEstimate, format_end: Callable[[float], str]) -> str:
    ends = (estimate.interval.low, estimate.interval.high)
    return "-".join(format_end(end) if isfinite(end) else "?" for end in ends)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f}"
