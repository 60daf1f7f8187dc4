"""A sweep in tables at 80 columns, and as figures for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from math import isfinite
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perfsuite.advise.sweep.advice import advise_on_sweep
from perfsuite.advise.sweep.results import (
    BatchWaitTimes,
    RelativeSpeed,
    SettingResult,
    SweepReport,
    check_targets,
)
from perfsuite.judge.metrics import MetricEstimate
from perfsuite.judge.units import MetricKind, format_quantity, format_significant
from perfsuite.report.terminal.run_table import OUTCOME_STYLES

SPEED_STYLES = {
    RelativeSpeed.AS_FAST: "green",
    RelativeSpeed.SLOWER: "dim",
    RelativeSpeed.UNCLEAR: "bold magenta",
}


def print_sweep(sweep: SweepReport, console: Console) -> None:
    """Rates, waiting, what was used; then what holds of the chosen setting, and what to set."""
    chosen = sweep.choice().seen
    console.print(f"Of {sweep.blocks} blocks of turns, on files that were read before; +2: batches ahead")
    console.print(_rate_table(sweep, chosen))
    console.print("Waiting for a batch in ms; the first of a turn by itself")
    console.print(_wait_table(sweep))
    console.print("Cores in use; memory of the host")
    console.print(_resource_table(sweep))
    for verdict in check_targets(sweep, chosen):
        console.print(
            Text(f"{verdict.outcome}: ", style=OUTCOME_STYLES[verdict.outcome]) + Text(verdict.reason)
        )
    console.print()
    for line in advise_on_sweep(sweep):
        console.print(Text(line))
    if not sweep.is_complete:
        console.print("broken off: this is what was measured until then")


def sweep_to_dict(sweep: SweepReport) -> dict[str, Any]:
    """Everything that was measured and judged, for JSON; an end that is not known is null."""
    choice = sweep.choice()
    return {
        "batch_size": sweep.batch_size,
        "mode": sweep.mode,
        "is_whole": sweep.is_complete,
        "settings": [_setting_to_dict(sweep, seen) for seen in sweep.seen],
        "choice": asdict(choice.seen.setting),
        "in_doubt": [asdict(seen.setting) for seen in choice.undecided],
        "checks": [_null_nonfinite(asdict(verdict)) for verdict in check_targets(sweep, choice.seen)],
        "advice": advise_on_sweep(sweep),
    }


def _setting_to_dict(sweep: SweepReport, seen: SettingResult) -> dict[str, Any]:
    found = {
        "images_per_second": seen.images_per_second,
        "speedup": sweep.speedup(seen),
        "overhead": seen.overhead,
    }
    told: dict[str, Any] = asdict(seen) | {name: one and asdict(one) for name, one in found.items()}
    told["standing"] = sweep.relative_speed(seen)
    told["batch_times"] = asdict(BatchWaitTimes.of(seen.batch_seconds)) if seen.batch_seconds else None
    finite: dict[str, Any] = _null_nonfinite(told)
    return finite


def _null_nonfinite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _null_nonfinite(member) for key, member in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value


def _rate_table(sweep: SweepReport, chosen: SettingResult) -> Table:
    table = _make_table("images/s", "99 %", "batches/s", "times", "augmenting", "")
    for seen in sweep.seen:
        rate, cost = seen.images_per_second, seen.overhead
        standing = sweep.relative_speed(seen)
        table.add_row(
            _setting_label(seen),
            format_significant(rate.value),
            _interval(rate, format_significant),
            format_significant(rate.value / sweep.batch_size),
            f"{sweep.speedup(seen).value:.2f}",
            "" if cost is None else f"{cost.value:+.0%} ({_interval(cost, _percents)})",
            Text(_speed_label(standing, seen is chosen), style=SPEED_STYLES[standing]),
        )
    return table


def _speed_label(standing: RelativeSpeed, is_chosen: bool) -> str:
    if not is_chosen:
        return str(standing)
    return "the knee" if standing is RelativeSpeed.AS_FAST else "the knee?"


def _wait_table(sweep: SweepReport) -> Table:
    table = _make_table("min", "mean", "max", "dev.", "p50", "p90", "p95", "p99", "first")
    for seen in sweep.seen:
        if seen.batch_seconds:
            times = asdict(BatchWaitTimes.of(seen.batch_seconds)).values()
            first = median(seen.first_batch_seconds)
            table.add_row(
                _setting_label(seen), *(format_significant(1000 * seconds) for seconds in (*times, first))
            )
    return table


def _resource_table(sweep: SweepReport) -> Table:
    table = _make_table("main", "workers", "a batch", "prefetched", "all grew by")
    for seen in sweep.seen:
        used, held = seen.core_use, seen.memory
        if used is not None and held is not None:
            sizes = (held.batch_bytes, held.prefetch_bytes, held.peak_growth_bytes)
            cores = (f"{used.main:.2f}", f"{used.workers:.2f}")
            table.add_row(
                _setting_label(seen), *cores, *(format_quantity(size, MetricKind.BYTES) for size in sizes)
            )
    return table


def _make_table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("workers", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _setting_label(seen: SettingResult) -> str:
    """As `2 threads +4`: four batches ahead."""
    setting = seen.setting
    return f"{setting.workers} {setting.engine}" + (f" +{setting.prefetch_factor}" if setting.workers else "")


def _interval(found: MetricEstimate, shown: Callable[[float], str]) -> str:
    ends = (found.interval.low, found.interval.high)
    return "-".join(shown(end) if isfinite(end) else "?" for end in ends)


def _percents(share: float) -> str:
    return f"{100 * share:.0f}"
