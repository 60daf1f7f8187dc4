"""What to set without a GPU, with a small one and with a large one; measured for the machine of the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfsuite.advise.claims.results import DIRECT_LOADER, ClaimsReport, SpeedupRow, format_interval
from perfsuite.advise.preset_search import pick_fastest

# What `perfsuite train` calls an arm of the training table.
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
    """What to set, for which kind of machine; its ground is a measurement of this run or a rule of thumb."""

    machine: str
    text: str
    is_measured: bool


def advise_on_claims(found: ClaimsReport) -> tuple[Advice, ...]:
    on_gpu = found.settings.get("device", "cpu").startswith("cuda")
    return (
        *_measured_advice(found, "here, on a GPU" if on_gpu else "here, without a GPU"),
        *_rules_of_thumb(found, on_gpu),
    )


def _measured_advice(found: ClaimsReport, machine: str) -> Iterator[Advice]:
    if "training" in found.tables:
        yield Advice(machine, _training_advice(found.tables["training"]), True)
    if "inference" in found.tables:
        yield Advice(machine, _inference_advice(found.tables["inference"]), True)
    row = found.row("bottleneck", DIRECT_LOADER)
    if row is not None:
        yield Advice(machine, _loading_advice(row), True)


def _rules_of_thumb(found: ClaimsReport, on_gpu: bool) -> Iterator[Advice]:
    if on_gpu:
        yield Advice(
            "without a GPU", "let `perfsuite train --fastest` choose; without it float32 as it comes", False
        )
        return
    kept = found.memory.get("checkpointing", 0) / found.memory["eager"] if found.memory else 0.0
    spared = f" (it kept {kept:.0%} of the bytes here)" if kept else ""
    yield Advice(
        "a small GPU",
        "`--amp --channels-last`; where memory ends, a smaller `--batch-size` with "
        f"`--accumulate-grad-steps`, then `--checkpointing`{spared}",
        False,
    )
    yield Advice(
        "a large GPU",
        "`--amp --channels-last --compile --fused` with the largest batch that still learns as well; "
        "`--compile` is paid back late in short runs; look at the GPU's utilization before anything else",
        False,
    )


def _training_advice(rows: tuple[SpeedupRow, ...]) -> str:
    best = pick_fastest({row.name: row.speedup for row in rows if row.name in TRAIN_OPTIONS})
    row = next((row for row in rows if row.name == best), None)
    if row is None or best == "eager":
        return "train as it comes: no preset was surely faster"
    return f"train with `{TRAIN_OPTIONS[best]}` ({format_interval(row.speedup)}x)"


def _inference_advice(rows: tuple[SpeedupRow, ...]) -> str:
    best = pick_fastest({row.name: row.speedup for row in rows[1:]})
    row = next((row for row in rows if row.name == best), rows[0])
    return (
        "answer as it comes: no runtime was surely faster"
        if row is rows[0]
        else f"answer with {row.name} ({format_interval(row.speedup)}x)"
    )


def _loading_advice(row: SpeedupRow) -> str:
    interval = format_interval(row.speedup)
    told = f"the loader with 2 workers gives {row.estimate:.1f}x what a step takes ({interval})"
    if row.speedup.low > 1:
        return f"{told}: it is not the limit, make the step faster"
    if row.speedup.high < 1:
        return f"{told}: it is the limit; more `--workers`, smaller images, a cache"
    return f"{told}: which is the limit is not settled"
