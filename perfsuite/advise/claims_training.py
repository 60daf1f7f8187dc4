"""The claims about a training step: presets and batch sizes in turns, and the memory of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from perfsuite.advise.claims import Row, row_of
from perfsuite.advise.fastest import checked_step_call, in_turns, step_call
from perfsuite.advise.nothing_compiled import seconds_to_the_first
from perfsuite.measure.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

ARMS = ("channels_last", "fused", "bf16", "checkpointing", "compiled", "combined")
CUDA_ARMS = (
    *("ieee", "tf32", "fp16", "bf16+channels_last", "compiled-reduce-overhead", "cuda_graphs"),
    *ARMS,
)
PARTS = 4
ACCUMULATED = f"accumulated, {PARTS} parts"
BATCH_FACTORS = (1.0, 0.25, 0.5, 2.0)  # of the batch asked for, which is the baseline


def presets(
    model: nn.Module, images: Tensor, labels: Tensor, seconds: float, refused: dict[str, str]
) -> tuple[Row, ...]:
    """Each preset's step against eager's; one whose loss and gradients differ is refused, not timed."""
    from perfsuite.training.presets import EAGER, preset

    calls = {"eager": step_call(model, EAGER, images, labels)}
    compiling: dict[str, float] = {}
    for name in CUDA_ARMS if images.is_cuda else ARMS:
        if preset(name).is_compiled:
            compiling[name] = seconds_to_the_first(partial(step_call, model, preset(name), images, labels))
        call = checked_step_call(model, preset(name), images, labels, refused)
        if call is not None:
            calls[name] = call
    if len(labels) >= PARTS:  # BatchNorm sees the parts, so that gradients are others by intention
        calls[ACCUMULATED] = step_call(model, EAGER, images, labels, parts=PARTS)
    turns = in_turns(calls, items=len(labels), seconds=seconds, device=str(images.device))
    return table(turns, compiling)


def batch_sizes(model: nn.Module, images: Tensor, labels: Tensor, seconds: float) -> tuple[Row, ...]:
    """Images a second at other batch sizes, against that of the batch asked for."""
    import torch

    from perfsuite.training.presets import EAGER

    sizes = sorted({max(2, round(len(labels) * factor)) for factor in BATCH_FACTORS} - {len(labels)})
    calls: dict[str, Callable[[], object]] = {}
    items: dict[str, float] = {}
    for size in (len(labels), *sizes):
        rows = torch.arange(size, device=images.device) % len(labels)
        calls[str(size)] = step_call(model, EAGER, images[rows], labels[rows])
        items[str(size)] = size
    return table(in_turns(calls, items=items, seconds=seconds, device=str(images.device)))


def table(turns: Turns, compiling: Mapping[str, float] | None = None) -> tuple[Row, ...]:
    """Rows of all arms against the first."""
    baseline = next(iter(turns.seconds_per_item))
    return tuple(
        row_of(name, turns.ratios(baseline, name), 1 / median(taken), (compiling or {}).get(name))
        for name, taken in turns.seconds_per_item.items()
    )


def memory(model: nn.Module, images: Tensor, labels: Tensor, names: list[str]) -> tuple[dict[str, int], str]:
    """The device's peak; on a CPU bytes kept for the backward pass, which of compiled code cannot be seen."""
    import torch

    from perfsuite.measure.counters import count
    from perfsuite.training.presets import EAGER, preset

    found = {}
    for name in names:
        is_whole = name != ACCUMULATED
        chosen = preset(name) if is_whole else EAGER
        if not images.is_cuda and chosen.is_compiled:
            continue
        call = step_call(model, chosen, images, labels, parts=1 if is_whole else PARTS)
        call()
        if images.is_cuda:
            torch.cuda.reset_peak_memory_stats()
            call()
            found[name] = torch.cuda.max_memory_allocated()
        else:
            # Of accumulated parts one is kept at a time.
            found[name] = count(call)["saved_bytes"] // (1 if is_whole else PARTS)
    told = "peak of allocated device memory" if images.is_cuda else "bytes kept for the backward pass"
    return found, told
