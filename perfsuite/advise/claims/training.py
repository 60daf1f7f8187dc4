"""Measure the claims about a training step: presets and batch sizes in turns, and the memory of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from perfsuite.advise.claims.compile_cache import time_first_call
from perfsuite.advise.claims.variants import VariantTimes, prepare_calls, speedup_rows, time_within
from perfsuite.advise.time_limit import TimeLimit
from perfsuite.advise.timed_step import step_call, verified_step_call

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.training.step.presets import Preset

CPU_VARIANTS = ("channels_last", "fused", "bf16", "activation_checkpointing", "compiled", "combined")
CUDA_VARIANTS = (
    *("ieee", "tf32", "fp16", "bf16+channels_last", "compiled-reduce-overhead", "cuda_graphs"),
    *CPU_VARIANTS,
)
MICROBATCHES = 4
ACCUMULATED = f"accumulated, {MICROBATCHES} microbatches"
BATCH_FACTORS = (0.25, 0.5, 2.0)  # of the configured batch size, which is the baseline


def compare_presets(model: nn.Module, images: Tensor, labels: Tensor, limit: TimeLimit) -> VariantTimes:
    """Time each preset's step against eager's; one whose loss or gradients differ is rejected, not timed."""
    from perfsuite.training.step.presets import EAGER, parse_preset

    first_calls: dict[str, float] = {}

    def make(preset: Preset) -> Callable[[], object]:
        if preset.is_compiled:
            first_calls[preset.name] = time_first_call(partial(step_call, model, preset, images, labels))
        return verified_step_call(model, preset, images, labels)

    presets = [parse_preset(name) for name in (CUDA_VARIANTS if images.is_cuda else CPU_VARIANTS)]
    makers = {"eager": partial(step_call, model, EAGER, images, labels)}
    # Not verified: BatchNorm normalizes each microbatch by itself, so the gradients differ by design.
    if len(labels) >= MICROBATCHES:
        makers[ACCUMULATED] = partial(step_call, model, EAGER, images, labels, MICROBATCHES)
    for preset in sorted(presets, key=lambda preset: preset.is_compiled):
        makers[preset.name] = partial(make, preset)
    prepared = prepare_calls(makers, limit)
    turns = time_within(limit, prepared.calls, len(labels), str(images.device))
    return VariantTimes(speedup_rows(turns, first_calls), prepared.rejected)


def compare_batch_sizes(model: nn.Module, images: Tensor, labels: Tensor, limit: TimeLimit) -> VariantTimes:
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
    return VariantTimes(speedup_rows(time_within(limit, calls, items, str(images.device))))


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
