"""The speed options of `perfsuite train`, and the preset that they describe or let a search choose."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

from perfsuite.cli.arguments import (
    COMPILE_MODES,
    POSITIVE_INT,
    Options,
    add_device_argument,
    duration,
    number,
)
from perfsuite.cli.progress import print_progress
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    import torch

    from perfsuite.judge.verdict import Interval
    from perfsuite.training.distributed.ranks import Rank
    from perfsuite.training.step.presets import CompileMode, Precision, Preset


def add_arguments(options: Options) -> None:
    add_device_argument(options)
    options.add_argument(
        "--amp",
        action=argparse.BooleanOptionalAction,
        help="automatic mixed precision with bfloat16 (on for a GPU that has it, off on a CPU)",
    )
    options.add_argument(
        "--precision", choices=("float32", "ieee", "tf32", "bf16", "fp16"), help="instead of --amp, by name"
    )
    options.add_argument(
        "--fastest",
        nargs="?",
        type=duration,
        const=20.0,
        metavar="TIME",
        help="time the presets for TIME (20s), then train with the fastest whose results agree with "
        "eager's; with --compile also compiled ones, which takes minutes on a CPU",
    )
    options.add_argument("--channels-last", action="store_true", help="keep images as NHWC in memory")
    options.add_argument(
        "--compile", nargs="?", const="default", choices=COMPILE_MODES, metavar="MODE", help="torch.compile"
    )
    options.add_argument(
        "--cuda-graphs", action="store_true", help="capture the uncompiled step as a CUDA graph"
    )
    options.add_argument("--fused", action="store_true", help="run the optimizer as one kernel")
    options.add_argument(
        "--activation-checkpointing",
        action="store_true",
        help="recompute activations in the backward pass: less memory, more time",
    )
    options.add_argument(
        "--fsdp", action="store_true", help="under torchrun: shard parameters, gradients and optimizer state"
    )
    options.add_argument(
        "--gradient-accumulation-steps",
        type=number(POSITIVE_INT),
        default=1,
        metavar="K",
        help="batches per optimizer step (1)",
    )
    options.add_argument(
        "--clip-grad-norm", type=float, metavar="NORM", help="clip the norm of the gradients"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetOptions:
    """The speed options, as the command line gives them."""

    device: str
    amp: bool | None
    precision: Precision | None
    fastest: float | None  # seconds
    channels_last: bool
    compile: CompileMode | None
    cuda_graphs: bool
    fused: bool
    activation_checkpointing: bool
    fsdp: bool
    gradient_accumulation_steps: int
    clip_grad_norm: float | None

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> PresetOptions:
        return cls(**{field.name: getattr(arguments, field.name) for field in fields(cls)})


def describe_preset(options: PresetOptions, device: torch.device) -> Preset:
    """Return the preset that the options describe; `--no-amp` means float32 on every device."""
    from perfsuite.training.step.presets import Preset

    if options.amp is not None and options.precision is not None:
        raise UsageError("train: --amp or --no-amp and --precision exclude each other; give one")
    precision = options.precision
    if precision is None:
        uses_amp = device.type == "cuda" if options.amp is None else options.amp
        precision = _half_precision(device) if uses_amp else "float32"
    return Preset(
        precision=precision,
        channels_last=options.channels_last,
        compile_mode=options.compile or "off",
        cuda_graphs=options.cuda_graphs,
        optimizer_implementation="fused" if options.fused else "auto",
        activation_checkpointing=options.activation_checkpointing,
        clip_norm=options.clip_grad_norm,
        accumulate=options.gradient_accumulation_steps,
    )


def _half_precision(device: torch.device) -> Precision:
    import torch

    return "fp16" if device.type == "cuda" and not torch.cuda.is_bf16_supported() else "bf16"


def search_fastest(
    options: PresetOptions,
    model_name: str,
    described: Preset,
    rank: Rank,
    *,
    batch_size: int,
    image_size: int,
    is_resumed: bool,
) -> Preset:
    """The fastest preset for this model, batch and device, measured in turns on random images.

    The fields of `described` that change what is learned stay as they are.
    """
    from perfsuite.advise.preset_search import find_fastest_preset
    from perfsuite.advise.timed_step import random_batch
    from perfsuite.training.models import make_model

    _reject_preset_options(options, described, rank)
    if is_resumed:
        raise UsageError(
            "train: --fastest may choose another preset than before; resume with the preset named in the log"
        )
    seconds = options.fastest or 0.0
    images, labels = random_batch(batch_size, image_size, rank.device)
    model = make_model(model_name, 10).to(rank.device)
    choice = find_fastest_preset(
        model,
        images,
        labels,
        _candidates(options, rank),
        seconds,
        partial(print_progress, "train"),
    )
    for name, speedup in choice.speedups.items():
        print(f"  {name}: {_format_speedup(speedup)}")
    for name, reason in choice.rejected.items():
        print(f"  {name}: {reason}")
    chosen = replace(choice.preset, **_learning_fields(described))
    print(f"training with {chosen.name}")
    return chosen


def _learning_fields(preset: Preset) -> dict[str, Any]:
    """Fields that change what is learned, not only how fast."""
    return {"clip_norm": preset.clip_norm, "accumulate": preset.accumulate}


def _reject_preset_options(options: PresetOptions, described: Preset, rank: Rank) -> None:
    from perfsuite.training.step.presets import EAGER

    if rank.world_size > 1:
        raise UsageError("train: --fastest measures in one process, this is one of several; give a preset")
    allowed = replace(EAGER, precision=described.precision, **_learning_fields(described))
    if described.compile_mode == "default":  # with --fastest, --compile allows compiled candidates
        described = replace(described, compile_mode="off")
    if described != allowed or options.precision:
        raise UsageError("train: --fastest chooses the preset itself; leave out the options that name one")


def _candidates(options: PresetOptions, rank: Rank) -> list[str]:
    from perfsuite.advise.preset_search import CPU_CANDIDATES, CPU_COMPILED_CANDIDATES, CUDA_CANDIDATES

    on_cpu = CPU_COMPILED_CANDIDATES if options.compile else CPU_CANDIDATES
    return [
        name
        for name in (CUDA_CANDIDATES if rank.device.type == "cuda" else on_cpu)
        if options.amp is not False or ("bf16" not in name and name != "combined")
    ]


def _format_speedup(speedup: Interval) -> str:
    if not (isfinite(speedup.low) and isfinite(speedup.high)):
        return "too few turns for an interval; give --fastest more seconds"
    return f"{speedup.low:.2f} to {speedup.high:.2f} times the speed of eager"
