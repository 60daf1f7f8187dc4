"""What to set without a GPU, with a small one and with a large one; measured for the machine of the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfsuite.advise.claims import LOADED, Claimed, Row, ends
from perfsuite.advise.fastest import surely_fastest

# What `perfsuite train` calls an arm of the training table.
OPTIONS = {
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
    words: str
    is_measured: bool


def advice(found: Claimed) -> tuple[Advice, ...]:
    on_gpu = found.settings.get("device", "cpu").startswith("cuda")
    return (
        *_this_machine(found, "here, on a GPU" if on_gpu else "here, without a GPU"),
        *_elsewhere(found, on_gpu),
    )


def _this_machine(found: Claimed, machine: str) -> Iterator[Advice]:
    if "training" in found.tables:
        yield Advice(machine, _training(found.tables["training"]), True)
    if "inference" in found.tables:
        yield Advice(machine, _answering(found.tables["inference"]), True)
    row = found.row("bottleneck", LOADED)
    if row is not None:
        yield Advice(machine, _loading(row), True)


def _elsewhere(found: Claimed, on_gpu: bool) -> Iterator[Advice]:
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
        "`--compile` is paid back late in short runs; look at the GPU's utilisation before anything else",
        False,
    )


def _training(rows: tuple[Row, ...]) -> str:
    best = surely_fastest({row.name: row.speedup for row in rows if row.name in OPTIONS})
    row = next((row for row in rows if row.name == best), None)
    if row is None or best == "eager":
        return "train as it comes: no preset was surely faster"
    return f"train with `{OPTIONS[best]}` ({ends(row.speedup)}x)"


def _answering(rows: tuple[Row, ...]) -> str:
    best = surely_fastest({row.name: row.speedup for row in rows[1:]})
    row = next((row for row in rows if row.name == best), rows[0])
    return (
        "answer as it comes: no runtime was surely faster"
        if row is rows[0]
        else f"answer with {row.name} ({ends(row.speedup)}x)"
    )


def _loading(row: Row) -> str:
    told = f"the loader with 2 workers gives {row.estimate:.1f}x what a step takes ({ends(row.speedup)})"
    if row.speedup.low > 1:
        return f"{told}: it is not the limit, make the step faster"
    if row.speedup.high < 1:
        return f"{told}: it is the limit; more `--workers`, smaller pictures, a cache"
    return f"{told}: which is the limit is not settled"
