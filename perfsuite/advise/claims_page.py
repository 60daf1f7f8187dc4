"""The claims as a page of Markdown: verdicts first, then every table that they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from perfsuite.advise.claims import CLAIMS, Claimed, Row, ends
from perfsuite.advise.claims_advice import advice
from perfsuite.advise.whole_processes import ProcessTimes

TITLES = {
    "training": "Training step",
    "batch size": "Batch size",
    "inference": "Answering",
    "loading": "Loading",
    "bottleneck": "The loader against the step",
}


def page(found: Claimed, command: str) -> str:
    """All of it, with the command that makes it again."""
    parts = (_head(found, command), _verdicts(found), _advice(found), _tables(found), _rest(found))
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(found: Claimed, command: str) -> Iterator[str]:
    yield "# What was claimed of training, and what was found\n"
    yield f"Made by `{command}`; run it on your machine, the answers differ from one to the next.\n"
    yield from (f"- {name}: {value}" for name, value in found.settings.items())
    if found.to_come:
        yield f"- not finished; not measured yet: {'; '.join(found.to_come)}"
    yield ""
    yield "Factors are medians of paired ratios, all arms of a table in turns (A B C C B A) in one process,"
    yield "with 99 % intervals; n counts the blocks of turns. An arm is timed only after its loss and"
    yield "gradients, or its answers, were compared with plain float32's. Other machines, other factors.\n"


def _verdicts(found: Claimed) -> Iterator[str]:
    yield _header("claim", "found", "verdict")
    for claim in CLAIMS:
        finding, shown = found.finding(claim)
        yield f"| {claim.words} | {_cell(shown)} | {finding.value} |"
    yield ""


def _advice(found: Claimed) -> Iterator[str]:
    yield "## What to set\n"
    for one in advice(found):
        ground = "" if one.is_measured else " *A rule of thumb, not measured here.*"
        yield f"- {one.machine}: {one.words}.{ground}"
    yield ""


def _tables(found: Claimed) -> Iterator[str]:
    for name, rows in found.tables.items():
        yield f"## {TITLES[name]}\n"
        yield _header("", "images/s", "factor", "interval", "n", "first call", "paid back after")
        yield from (_row(row, rows[0], found.items_per_call) for row in rows)
        yield ""


def _row(row: Row, baseline: Row, items_per_call: float) -> str:
    compiling = "" if row.first_call_seconds is None else f"{row.first_call_seconds:.0f} s"
    calls = row.break_even_calls(baseline, items_per_call)
    paid = f"{calls:,.0f} batches" if calls is not None else "never" if compiling else ""
    factor = f"{row.estimate:.2f}x | {ends(row.speedup)} | {row.blocks}"
    return f"| {row.name} | {row.items_per_second:,.0f} | {factor} | {compiling} | {paid} |"


def _rest(found: Claimed) -> Iterator[str]:
    if found.memory:
        yield f"## Memory: {found.memory_of}\n"
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
            bounds = f"{ends(stall.loading_bound)} | {stall.step_bound:.2f}x"
            yield f"| {stall.name} | {stall.share:.0%} | {len(stall.shares)} | {bounds} |"
        yield "\nThe bounds are Amdahl's: what the whole epoch gains if only that part took no time.\n"
    if found.processes:
        yield "## Whole processes: `perfsuite train`, start and imports included\n"
        yield _header("", "real", "user", "sys", "n")
        for name, times in found.processes.items():
            shown = " | ".join(_seconds(times, clock) for clock in ("real", "user", "system"))
            yield f"| {name} | {shown} | {len(times)} |"
        yield "\nSeconds: median (least to most).\n"
    if found.refused:
        yield "## Not timed\n"
        yield from (f"- {name}: {_cell(reason)}" for name, reason in found.refused.items())
        yield ""
    if found.settings.get("device") == "cpu":
        yield "fp16, TF32, CUDA graphs, peak device memory, GPU utilisation: not measured, no GPU here."
    yield "What several ranks gain: `perfsuite scaling --ranks 2`."


def _header(*names: str) -> str:
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def _seconds(times: tuple[ProcessTimes, ...], clock: str) -> str:
    taken = [getattr(one, clock) for one in times]
    return f"{median(taken):.1f} ({min(taken):.1f} to {max(taken):.1f})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
