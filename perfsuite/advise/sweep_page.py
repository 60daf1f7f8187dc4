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

from perfsuite.advise.sweep import BatchTimes, Seen, Standing, Sweep, checks
from perfsuite.advise.sweep_advice import advice
from perfsuite.judge.limits import Found
from perfsuite.judge.units import Kind, figures, show
from perfsuite.report.terminal import STYLES

STANDINGS = {Standing.AS_FAST: "green", Standing.SLOWER: "dim", Standing.UNCLEAR: "bold magenta"}


def print_sweep(sweep: Sweep, console: Console) -> None:
    """Rates, waiting, what was used; then what holds of the chosen setting, and what to set."""
    chosen = sweep.choice().seen
    console.print(f"Of {sweep.blocks} blocks of turns, on files that were read before; +2: batches ahead")
    console.print(_rates(sweep, chosen))
    console.print("Waiting for a batch in ms; the first of a turn by itself")
    console.print(_waits(sweep))
    console.print("Cores in use; memory of the host")
    console.print(_used(sweep))
    for verdict in checks(sweep, chosen):
        console.print(Text(f"{verdict.outcome}: ", style=STYLES[verdict.outcome]) + Text(verdict.reason))
    console.print()
    for line in advice(sweep):
        console.print(Text(line))
    if not sweep.is_whole:
        console.print("broken off: this is what was measured until then")


def figures_of(sweep: Sweep) -> dict[str, Any]:
    """Everything that was measured and judged, for JSON; an end that is not known is null."""
    choice = sweep.choice()
    return {
        "batch_size": sweep.batch_size,
        "mode": sweep.mode,
        "is_whole": sweep.is_whole,
        "settings": [_figures_of(sweep, seen) for seen in sweep.seen],
        "choice": asdict(choice.seen.setting),
        "in_doubt": [asdict(seen.setting) for seen in choice.in_doubt],
        "checks": [_finite(asdict(verdict)) for verdict in checks(sweep, choice.seen)],
        "advice": advice(sweep),
    }


def _figures_of(sweep: Sweep, seen: Seen) -> dict[str, Any]:
    found = {
        "images_per_second": seen.images_per_second,
        "speedup": sweep.speedup(seen),
        "overhead": seen.overhead,
    }
    told: dict[str, Any] = asdict(seen) | {name: one and asdict(one) for name, one in found.items()}
    told["standing"] = sweep.standing(seen)
    told["batch_times"] = asdict(BatchTimes.of(seen.batch_seconds)) if seen.batch_seconds else None
    finite: dict[str, Any] = _finite(told)
    return finite


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value


def _rates(sweep: Sweep, chosen: Seen) -> Table:
    table = _table("images/s", "99 %", "batches/s", "times", "augmenting", "")
    for seen in sweep.seen:
        rate, cost = seen.images_per_second, seen.overhead
        standing = sweep.standing(seen)
        table.add_row(
            _name(seen),
            figures(rate.estimate),
            _interval(rate, figures),
            figures(rate.estimate / sweep.batch_size),
            f"{sweep.speedup(seen).estimate:.2f}",
            "" if cost is None else f"{cost.estimate:+.0%} ({_interval(cost, _percents)})",
            Text(_standing(standing, seen is chosen), style=STANDINGS[standing]),
        )
    return table


def _standing(standing: Standing, is_chosen: bool) -> str:
    if not is_chosen:
        return str(standing)
    return "the knee" if standing is Standing.AS_FAST else "the knee?"


def _waits(sweep: Sweep) -> Table:
    table = _table("min", "mean", "max", "dev.", "p50", "p90", "p95", "p99", "first")
    for seen in sweep.seen:
        if seen.batch_seconds:
            times = asdict(BatchTimes.of(seen.batch_seconds)).values()
            first = median(seen.first_batch_seconds)
            table.add_row(_name(seen), *(figures(1000 * seconds) for seconds in (*times, first)))
    return table


def _used(sweep: Sweep) -> Table:
    table = _table("main", "workers", "a batch", "prefetched", "all grew by")
    for seen in sweep.seen:
        used, held = seen.used, seen.held
        if used is not None and held is not None:
            sizes = (held.batch_bytes, held.prefetch_bytes, held.peak_growth_bytes)
            cores = (f"{used.main:.2f}", f"{used.workers:.2f}")
            table.add_row(_name(seen), *cores, *(show(size, Kind.BYTES) for size in sizes))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("workers", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _name(seen: Seen) -> str:
    """As `2 threads +4`: four batches ahead."""
    setting = seen.setting
    return f"{setting.workers} {setting.engine}" + (f" +{setting.prefetch}" if setting.workers else "")


def _interval(found: Found, shown: Callable[[float], str]) -> str:
    ends = (found.interval.low, found.interval.high)
    return "-".join(shown(end) if isfinite(end) else "?" for end in ends)


def _percents(share: float) -> str:
    return f"{100 * share:.0f}"
