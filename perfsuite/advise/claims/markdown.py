"""Render a claims report as Markdown: verdicts first, then every table behind them."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from perfsuite.advise.claims.advice import advise_on_claims
from perfsuite.advise.claims.claims import claims_about
from perfsuite.advise.claims.parts import PARTS
from perfsuite.advise.claims.process_times import CLOCKS, ProcessTimes
from perfsuite.advise.claims.results import ClaimsReport, SpeedupRow, format_interval
from perfsuite.report.markdown_table import escape_cell, markdown_table


def render_claims(report: ClaimsReport, command: str) -> str:
    """The whole page; `command` repeats the measurement."""
    sections = (
        _head(report, command),
        _verdicts(report),
        _advice(report),
        _tables(report),
        _other_sections(report),
    )
    return "\n".join(line for section in sections for line in section) + "\n"


def _head(report: ClaimsReport, command: str) -> Iterator[str]:
    yield "# Claims about training, measured\n"
    yield f"Made by `{command}`; run it on your machine, because results differ between machines.\n"
    yield from (f"- {name}: {value}" for name, value in report.settings.items())
    if report.pending:
        yield f"- not finished; not measured yet: {'; '.join(report.pending)}"
    yield ""
    yield "Factors are medians of paired ratios with 99 % intervals. All variants of a table take turns"
    yield "(A B C C B A) in one process; n is the number of blocks of turns. A variant is timed only once its"
    yield "loss and gradients, or its outputs, were compared with those of plain float32.\n"


def _verdicts(report: ClaimsReport) -> Iterator[str]:
    judged = ((claim, claim.judge(report)) for claim in claims_about(report))
    rows = (
        (claim.statement, escape_cell(verdict.evidence), verdict.outcome.value) for claim, verdict in judged
    )
    yield markdown_table(("claim", "measured", "verdict"), rows)
    yield ""


def _advice(report: ClaimsReport) -> Iterator[str]:
    yield "## What to set\n"
    for advice in advise_on_claims(report):
        note = "" if advice.is_measured else " *A rule of thumb, not measured here.*"
        yield f"- {advice.machine}: {advice.text}.{note}"
    yield ""


def _tables(report: ClaimsReport) -> Iterator[str]:
    for name, rows in report.tables.items():
        yield f"## {PARTS[name].title}\n"
        columns = ("", "images/s", "factor", "interval", "n", "first call", "paid back after")
        yield markdown_table(columns, (_cells(row, rows[0], report.items_per_call) for row in rows))
        yield ""


def _cells(row: SpeedupRow, baseline: SpeedupRow, items_per_call: float) -> tuple[object, ...]:
    first_call = "" if row.first_call_seconds is None else f"{row.first_call_seconds:.0f} s"
    calls = row.break_even_calls(baseline, items_per_call)
    break_even = f"{calls:,.0f} batches" if calls is not None else "never" if first_call else ""
    factors = (f"{row.estimate:.2f}x", format_interval(row.speedup), row.blocks)
    return row.name, f"{row.items_per_second:,.0f}", *factors, first_call, break_even


def _other_sections(report: ClaimsReport) -> Iterator[str]:
    if report.memory:
        yield f"## Memory: {report.memory_metric}\n"
        eager = report.memory["eager"]
        sizes = (
            (name, f"{size / 2**20:,.1f}", f"{size / eager:.2f}x") for name, size in report.memory.items()
        )
        yield markdown_table(("", "MiB", "of eager"), sizes)
        yield ""
    if report.stalls:
        yield "## Waiting for the loader\n"
        columns = ("loader", "share of an epoch", "n", "bound of a faster loader", "bound of a faster step")
        stalls = (
            (
                stall.name,
                f"{stall.share:.0%}",
                len(stall.shares),
                format_interval(stall.loading_speedup_bound),
                f"{stall.step_speedup_bound:.2f}x",
            )
            for stall in report.stalls
        )
        yield markdown_table(columns, stalls)
        yield "\nThe bounds are Amdahl's: the speed-up of the whole epoch if that part took no time.\n"
    if report.processes:
        yield "## Whole processes: `perfsuite train`, start-up and imports included\n"
        processes = (
            (name, *(_median_and_range(times, clock) for clock in CLOCKS), len(times))
            for name, times in report.processes.items()
        )
        yield markdown_table(("", "real", "user", "sys", "n"), processes)
        yield "\nSeconds: median (minimum to maximum).\n"
    if report.rejected:
        yield "## Not timed\n"
        yield from (f"- {name}: {escape_cell(reason)}" for name, reason in report.rejected.items())
        yield ""
    if report.settings.get("device") == "cpu":
        yield "fp16, TF32, CUDA graphs, peak device memory, GPU utilization: not measured, no GPU here."
    yield "For the speed of several ranks, run `perfsuite scaling --nproc-per-node 2`."


def _median_and_range(times: tuple[ProcessTimes, ...], clock: str) -> str:
    seconds = [getattr(process, clock) for process in times]
    return f"{median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
