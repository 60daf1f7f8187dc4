"""The claims as a page of Markdown: verdicts first, then every table that they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from perfsuite.advise.claims.advice import advise_on_claims
from perfsuite.advise.claims.process_times import ProcessTimes
from perfsuite.advise.claims.results import CLAIMS, ClaimsReport, SpeedupRow, format_interval

TITLES = {
    "training": "Training step",
    "batch size": "Batch size",
    "inference": "Answering",
    "loading": "Loading",
    "bottleneck": "The loader against the step",
}


def render_claims(found: ClaimsReport, command: str) -> str:
    """All of it, with the command that makes it again."""
    parts = (_head(found, command), _verdicts(found), _advice(found), _tables(found), _other_sections(found))
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(found: ClaimsReport, command: str) -> Iterator[str]:
    yield "# What was claimed of training, and what was found\n"
    yield f"Made by `{command}`; run it on your machine, the answers differ from one to the next.\n"
    yield from (f"- {name}: {value}" for name, value in found.settings.items())
    if found.pending:
        yield f"- not finished; not measured yet: {'; '.join(found.pending)}"
    yield ""
    yield "Factors are medians of paired ratios, all arms of a table in turns (A B C C B A) in one process,"
    yield "with 99 % intervals; n counts the blocks of turns. An arm is timed only after its loss and"
    yield "gradients, or its answers, were compared with plain float32's. Other machines, other factors.\n"


def _verdicts(found: ClaimsReport) -> Iterator[str]:
    yield _header("claim", "found", "verdict")
    for claim in CLAIMS:
        finding, shown = found.judge_claim(claim)
        yield f"| {claim.statement} | {_escape_cell(shown)} | {finding.value} |"
    yield ""


def _advice(found: ClaimsReport) -> Iterator[str]:
    yield "## What to set\n"
    for one in advise_on_claims(found):
        ground = "" if one.is_measured else " *A rule of thumb, not measured here.*"
        yield f"- {one.machine}: {one.text}.{ground}"
    yield ""


def _tables(found: ClaimsReport) -> Iterator[str]:
    for name, rows in found.tables.items():
        yield f"## {TITLES[name]}\n"
        yield _header("", "images/s", "factor", "interval", "n", "first call", "paid back after")
        yield from (_row(row, rows[0], found.items_per_call) for row in rows)
        yield ""


def _row(row: SpeedupRow, baseline: SpeedupRow, items_per_call: float) -> str:
    compiling = "" if row.first_call_seconds is None else f"{row.first_call_seconds:.0f} s"
    calls = row.break_even_calls(baseline, items_per_call)
    paid = f"{calls:,.0f} batches" if calls is not None else "never" if compiling else ""
    factor = f"{row.estimate:.2f}x | {format_interval(row.speedup)} | {row.blocks}"
    return f"| {row.name} | {row.items_per_second:,.0f} | {factor} | {compiling} | {paid} |"


def _other_sections(found: ClaimsReport) -> Iterator[str]:
    if found.memory:
        yield f"## Memory: {found.memory_metric}\n"
        yield _header("", "MiB", "of eager")
        for name, size in found.memory.items():
            yield f"| {name} | {size / 2**20:,.1f} | {size / found.memory['eager']:.2f}x |"
        yield ""
    if found.stalls:
        yield "## Waiting for the loader\n"
        yield _header(
            "loader", "share of an epoch", "n", "bound of a faster loader", "bound of a faster step"
        )
        for stall in found.stalls:
            bounds = f"{format_interval(stall.loading_speedup_bound)} | {stall.step_speedup_bound:.2f}x"
            yield f"| {stall.name} | {stall.share:.0%} | {len(stall.shares)} | {bounds} |"
        yield "\nThe bounds are Amdahl's: what the whole epoch gains if only that part took no time.\n"
    if found.processes:
        yield "## Whole processes: `perfsuite train`, start and imports included\n"
        yield _header("", "real", "user", "sys", "n")
        for name, times in found.processes.items():
            shown = " | ".join(_median_and_range(times, clock) for clock in ("real", "user", "system"))
            yield f"| {name} | {shown} | {len(times)} |"
        yield "\nSeconds: median (least to most).\n"
    if found.refused:
        yield "## Not timed\n"
        yield from (f"- {name}: {_escape_cell(reason)}" for name, reason in found.refused.items())
        yield ""
    if found.settings.get("device") == "cpu":
        yield "fp16, TF32, CUDA graphs, peak device memory, GPU utilization: not measured, no GPU here."
    yield "What several ranks gain: `perfsuite scaling --ranks 2`."


def _header(*names: str) -> str:
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def _median_and_range(times: tuple[ProcessTimes, ...], clock: str) -> str:
    taken = [getattr(one, clock) for one in times]
    return f"{median(taken):.1f} ({min(taken):.1f} to {max(taken):.1f})"


def _escape_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
