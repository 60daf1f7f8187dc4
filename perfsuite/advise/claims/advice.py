"""Advise what to set without a GPU, with a small one and with a large one, from a claims report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfsuite.advise.claims.claims import DIRECT_LOADER
from perfsuite.advise.claims.results import ClaimsReport, SpeedupRow, format_interval
from perfsuite.advise.preset_search import pick_fastest

# The options of `perfsuite train` for each variant of the training table.
TRAIN_OPTIONS = {
    "channels_last": "--channels-last",
    "fused": "--fused",
    "bf16": "--amp",
    "bf16+channels_last": "--amp --channels-last",
    "compiled": "--compile",
    "combined": "--amp --channels-last --compile --fused",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """What to set on which kind of machine; measured in this run, or a rule of thumb."""

    machine: str
    text: str
    is_measured: bool


def advise_on_claims(report: ClaimsReport) -> tuple[Advice, ...]:
    on_gpu = report.settings.get("device", "cpu").startswith("cuda")
    return (
        *_measured_advice(report, "here, on a GPU" if on_gpu else "here, without a GPU"),
        *_rules_of_thumb(report, on_gpu),
    )


def _measured_advice(report: ClaimsReport, machine: str) -> Iterator[Advice]:
    if "training" in report.tables:
        yield Advice(machine, _training_advice(report.tables["training"]), is_measured=True)
    if "inference" in report.tables:
        yield Advice(machine, _inference_advice(report.tables["inference"]), is_measured=True)
    row = report.row("bottleneck", DIRECT_LOADER)
    if row is not None:
        yield Advice(machine, _loading_advice(row), is_measured=True)


def _rules_of_thumb(report: ClaimsReport, on_gpu: bool) -> Iterator[Advice]:
    if on_gpu:
        yield Advice(
            "without a GPU", "choose by `perfsuite train --fastest`; else plain float32", is_measured=False
        )
        return
    ratio = report.memory.get("checkpointing", 0) / report.memory["eager"] if report.memory else 0.0
    note = f" (here it saved {ratio:.0%} of eager's bytes for the backward pass)" if ratio else ""
    yield Advice(
        "a small GPU",
        "`--amp --channels-last`; out of memory, a smaller `--batch-size` with "
        f"`--gradient-accumulation-steps`, then `--activation-checkpointing`{note}",
        is_measured=False,
    )
    yield Advice(
        "a large GPU",
        "`--amp --channels-last --compile --fused` with the largest batch that still trains as well; "
        "`--compile` pays back late in short runs; check the GPU's utilization first",
        is_measured=False,
    )


def _training_advice(rows: tuple[SpeedupRow, ...]) -> str:
    best = pick_fastest({row.name: row.speedup for row in rows if row.name in TRAIN_OPTIONS})
    row = next((row for row in rows if row.name == best), None)
    if row is None or best == "eager":
        return "train without further options: no preset was faster for certain"
    return f"train with `{TRAIN_OPTIONS[best]}` ({format_interval(row.speedup)}x)"


def _inference_advice(rows: tuple[SpeedupRow, ...]) -> str:
    eager, *others = rows
    best = pick_fastest({row.name: row.speedup for row in others})
    row = next((row for row in others if row.name == best), eager)
    if row is eager:
        return "predict with the model itself: no runtime was faster for certain"
    return f"predict with {row.name} ({format_interval(row.speedup)}x)"


def _loading_advice(row: SpeedupRow) -> str:
    interval = format_interval(row.speedup)
    figures = f"the loader with 2 workers delivers {row.estimate:.1f}x what a step consumes ({interval})"
    if row.speedup.low > 1:
        return f"{figures}: it is not the bottleneck, make the step faster"
    if row.speedup.high < 1:
        return f"{figures}: it is the bottleneck; more `--num-workers`, smaller images, a cache"
    return f"{figures}: which of them is the bottleneck is unclear"
