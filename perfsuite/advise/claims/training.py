"""The claims about a training step: presets and batch sizes in turns, and the memory of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from perfsuite.advise.claims.compile_cache import time_first_call
from perfsuite.advise.claims.results import SpeedupRow, speedup_row
from perfsuite.advise.preset_search import step_call, time_in_turns, verified_step_call
from perfsuite.measure.turns import TurnSamples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

CPU_VARIANTS = ("channels_last", "fused", "bf16", "checkpointing", "compiled", "combined")
CUDA_VARIANTS = (
    *("ieee", "tf32", "fp16", "bf16+channels_last", "compiled-reduce-overhead", "cuda_graphs"),
    *CPU_VARIANTS,
)
MICROBATCHES = 4
ACCUMULATED = f"accumulated, {MICROBATCHES} parts"
BATCH_FACTORS = (1.0, 0.25, 0.5, 2.0)  # of the batch asked for, which is the baseline


def compare_presets(
    model: nn.Module, images: Tensor, labels: Tensor, seconds: float, refused: dict[str, str]
) -> tuple[SpeedupRow, ...]:
    """Each preset's step against eager's; one whose loss and gradients differ is refused, not timed."""
    from perfsuite.training.step.presets import EAGER, parse_preset

    calls = {"eager": step_call(model, EAGER, images, labels)}
    compiling: dict[str, float] = {}
    for name in CUDA_VARIANTS if images.is_cuda else CPU_VARIANTS:
        if parse_preset(name).is_compiled:
            compiling[name] = time_first_call(partial(step_call, model, parse_preset(name), images, labels))
        call = verified_step_call(model, parse_preset(name), images, labels, refused)
        if call is not None:
            calls[name] = call
    if len(labels) >= MICROBATCHES:  # BatchNorm sees the parts, so that gradients are others by intention
        calls[ACCUMULATED] = step_call(model, EAGER, images, labels, parts=MICROBATCHES)
    turns = time_in_turns(calls, items=len(labels), seconds=seconds, device=str(images.device))
    return speedup_rows(turns, compiling)


def compare_batch_sizes(
    model: nn.Module, images: Tensor, labels: Tensor, seconds: float
) -> tuple[SpeedupRow, ...]:
    """Images a second at other batch sizes, against that of the batch asked for."""
    import torch

    from perfsuite.training.step.presets import EAGER

    sizes = sorted({max(2, round(len(labels) * factor)) for factor in BATCH_FACTORS} - {len(labels)})
    calls: dict[str, Callable[[], object]] = {}
    items: dict[str, float] = {}
    for size in (len(labels), *sizes):
        rows = torch.arange(size, device=images.device) % len(labels)
        calls[str(size)] = step_call(model, EAGER, images[rows], labels[rows])
        items[str(size)] = size
    return speedup_rows(time_in_turns(calls, items=items, seconds=seconds, device=str(images.device)))


def speedup_rows(turns: TurnSamples, compiling: Mapping[str, float] | None = None) -> tuple[SpeedupRow, ...]:
    """Rows of all arms against the first."""
    baseline = next(iter(turns.seconds_per_item))
    return tuple(
        speedup_row(name, turns.ratios(baseline, name), 1 / median(taken), (compiling or {}).get(name))
        for name, taken in turns.seconds_per_item.items()
    )


def measure_memory(
    model: nn.Module, images: Tensor, labels: Tensor, names: list[str]
) -> tuple[dict[str, int], str]:
    """The device's peak; on a CPU bytes kept for the backward pass, which of compiled code cannot be seen."""
    import torch

    from perfsuite.measure.counters.registry import count
    from perfsuite.training.step.presets import EAGER, parse_preset

    found = {}
    for name in names:
        is_whole = name != ACCUMULATED
        chosen = parse_preset(name) if is_whole else EAGER
        if not images.is_cuda and chosen.is_compiled:
            continue
        call = step_call(model, chosen, images, labels, parts=1 if is_whole else MICROBATCHES)
        call()
        if images.is_cuda:
            torch.cuda.reset_peak_memory_stats()
            call()
            found[name] = torch.cuda.max_memory_allocated()
        else:
            # Of accumulated parts one is kept at a time.
            found[name] = count(call)["saved_bytes"] // (1 if is_whole else MICROBATCHES)
    told = "peak of allocated device memory" if images.is_cuda else "bytes kept for the backward pass"
    return found, told
