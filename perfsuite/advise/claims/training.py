"""Measure the claims about a training step: presets and batch sizes in turns, and the memory of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from perfsuite.advise.claims.compile_cache import time_first_call
from perfsuite.advise.claims.results import SpeedupRow, speedup_row
from perfsuite.advise.timed_step import step_call, time_in_turns, verified_step_call
from perfsuite.errors import PerfsuiteError
from perfsuite.measure.turns import TurnSamples

if TYPE_CHECKING:
    from torch import Tensor, nn

CPU_VARIANTS = ("channels_last", "fused", "bf16", "checkpointing", "compiled", "combined")
CUDA_VARIANTS = (
    *("ieee", "tf32", "fp16", "bf16+channels_last", "compiled-reduce-overhead", "cuda_graphs"),
    *CPU_VARIANTS,
)
MICROBATCHES = 4
ACCUMULATED = f"accumulated, {MICROBATCHES} microbatches"
BATCH_FACTORS = (0.25, 0.5, 2.0)  # of the configured batch size, which is the baseline


@dataclass(frozen=True, slots=True)
class VariantTimes:
    """The rows of the variants that were timed, and why the others were rejected."""

    rows: tuple[SpeedupRow, ...]
    rejected: Mapping[str, str] = field(default_factory=dict)


def compare_presets(model: nn.Module, images: Tensor, labels: Tensor, seconds: float) -> VariantTimes:
    """Time each preset's step against eager's; one whose loss or gradients differ is rejected, not timed."""
    from perfsuite.training.step.presets import EAGER, parse_preset

    calls = {"eager": step_call(model, EAGER, images, labels)}
    first_calls: dict[str, float] = {}
    rejected: dict[str, str] = {}
    for name in CUDA_VARIANTS if images.is_cuda else CPU_VARIANTS:
        preset = parse_preset(name)
        if preset.is_compiled:
            first_calls[name] = time_first_call(partial(step_call, model, preset, images, labels))
        try:
            calls[name] = verified_step_call(model, preset, images, labels)
        except PerfsuiteError as error:
            rejected[name] = str(error)
    # Not verified: BatchNorm normalizes each microbatch by itself, so the gradients differ by design.
    if len(labels) >= MICROBATCHES:
        calls[ACCUMULATED] = step_call(model, EAGER, images, labels, MICROBATCHES)
    turns = time_in_turns(calls, len(labels), seconds, device=str(images.device))
    return VariantTimes(speedup_rows(turns, first_calls), rejected)


def compare_batch_sizes(model: nn.Module, images: Tensor, labels: Tensor, seconds: float) -> VariantTimes:
    """Images per second at other batch sizes, against those at the configured one."""
    import torch

    from perfsuite.training.step.presets import EAGER

    sizes = sorted({max(2, round(len(labels) * factor)) for factor in BATCH_FACTORS} - {len(labels)})
    calls: dict[str, Callable[[], object]] = {}
    items: dict[str, float] = {}
    for size in (len(labels), *sizes):
        rows = torch.arange(size, device=images.device) % len(labels)
        calls[str(size)] = step_call(model, EAGER, images[rows], labels[rows])
        items[str(size)] = size
    return VariantTimes(speedup_rows(time_in_turns(calls, items, seconds, device=str(images.device))))


def speedup_rows(
    turns: TurnSamples, first_calls: Mapping[str, float] | None = None
) -> tuple[SpeedupRow, ...]:
    """A row for each variant, against the first."""
    baseline = next(iter(turns.seconds_per_item))
    return tuple(
        speedup_row(name, turns.ratios(baseline, name), 1 / median(samples), (first_calls or {}).get(name))
        for name, samples in turns.seconds_per_item.items()
    )


def measure_memory(
    model: nn.Module, images: Tensor, labels: Tensor, names: list[str]
) -> tuple[dict[str, int], str]:
    """Bytes by variant, and what they are: the device's peak, or on a CPU those saved for the backward pass.

    On a CPU the bytes that compiled code saves cannot be counted; compiled variants are left out.
    """
    import torch

    from perfsuite.measure.counters.registry import count
    from perfsuite.training.step.presets import EAGER, parse_preset

    sizes = {}
    for name in names:
        microbatches = MICROBATCHES if name == ACCUMULATED else 1
        preset = EAGER if name == ACCUMULATED else parse_preset(name)
        if not images.is_cuda and preset.is_compiled:
            continue
        call = step_call(model, preset, images, labels, microbatches)
        call()
        if images.is_cuda:
            torch.cuda.reset_peak_memory_stats()
            call()
            sizes[name] = torch.cuda.max_memory_allocated()
        else:
            # Only one microbatch's activations are alive at a time.
            sizes[name] = count(call)["saved_bytes"] // microbatches
    metric = "peak of allocated device memory" if images.is_cuda else "bytes saved for the backward pass"
    return sizes, metric
