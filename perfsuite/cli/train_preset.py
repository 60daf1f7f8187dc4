"""How a training is to compute: its options, and the preset they stand for."""

from __future__ import annotations

import argparse
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from perfsuite.cli.arguments import COMPILE_MODES, positive_float, positive_int
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from perfsuite.judge.verdict import Interval
    from perfsuite.training.distributed.ranks import Rank
    from perfsuite.training.step.presets import Preset


def add_arguments(speed: Any) -> None:
    speed.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    speed.add_argument(
        "--amp",
        action=argparse.BooleanOptionalAction,
        help="bfloat16 where it does no harm (on for a GPU that has it, off on a CPU)",
    )
    speed.add_argument(
        "--precision", choices=("float32", "ieee", "tf32", "bf16", "fp16"), help="by name instead"
    )
    speed.add_argument(
        "--fastest",
        nargs="?",
        type=positive_float,
        const=20.0,
        metavar="SECONDS",
        help="time the presets for so long first (20), and take the fastest that computes the same; "
        "with --compile compiled ones too, which on a CPU takes minutes",
    )
    speed.add_argument("--channels-last", action="store_true", help="keep images as NHWC in memory")
    speed.add_argument(
        "--compile", nargs="?", const="default", choices=COMPILE_MODES, metavar="MODE", help="torch.compile"
    )
    speed.add_argument("--cuda-graphs", action="store_true", help="capture the uncompiled step")
    speed.add_argument("--fused", action="store_true", help="the optimizer as one kernel")
    speed.add_argument("--checkpointing", action="store_true", help="less memory, more time")
    speed.add_argument(
        "--fsdp", action="store_true", help="under torchrun: each rank keeps a part of every parameter"
    )
    speed.add_argument(
        "--accumulate-grad-steps",
        type=positive_int,
        default=1,
        metavar="K",
        help="batches to an optimizer step",
    )
    speed.add_argument("--clip-norm", type=float, metavar="NORM", help="clip the gradient's norm")


def preset_from_arguments(arguments: argparse.Namespace, device: Any) -> Preset:
    """The preset that the options ask for; `--no-amp` means float32 whatever the device."""
    from perfsuite.training.step.presets import Preset

    if arguments.amp is not None and arguments.precision is not None:
        raise UsageError("train: --amp or --no-amp and --precision exclude each other; give one")
    precision = arguments.precision
    if precision is None:
        wanted = device.type == "cuda" if arguments.amp is None else arguments.amp
        precision = _half_precision(device) if wanted else "float32"
    return Preset(
        precision=precision,
        channels_last=arguments.channels_last,
        compile_mode=arguments.compile or "off",
        cuda_graphs=arguments.cuda_graphs,
        optimizer_implementation="fused" if arguments.fused else "auto",
        checkpointing=arguments.checkpointing,
        clip_norm=arguments.clip_norm,
        accumulate=arguments.accumulate_grad_steps,
    )


def _half_precision(device: Any) -> str:
    import torch

    return "fp16" if device.type == "cuda" and not torch.cuda.is_bf16_supported() else "bf16"


def search_fastest(arguments: argparse.Namespace, asked: Preset, rank: Rank) -> Preset:
    """The fastest preset for this model, batch and device, measured in turns on noise."""
    import torch

    from perfsuite.advise.preset_search import find_fastest_preset
    from perfsuite.training.models import make_model
    from perfsuite.training.run.training_data import resolve_image_size

    learned = _user_fixed_fields(asked)
    _reject_preset_options(arguments, asked, rank)
    candidates = _candidates(arguments, rank)
    side = resolve_image_size(arguments.data_dir, arguments.image_size)
    images = torch.randn(arguments.batch_size, 3, side, side, device=rank.device)
    labels = torch.randint(10, (arguments.batch_size,), device=rank.device)
    model = make_model(arguments.model, 10).to(rank.device)
    choice = find_fastest_preset(model, images, labels, candidates, arguments.fastest, tell=print)
    for name, speedup in choice.speedups.items():
        print(f"  {name}: {_format_speedup(speedup)}")
    for name, reason in choice.refused.items():
        print(f"  {name}: {reason}")
    chosen = replace(choice.preset, **learned)
    print(f"training with {chosen.name}")
    return chosen


def _user_fixed_fields(asked: Preset) -> dict[str, Any]:
    """What is learned, not how fast, is the user's to say."""
    return {"clip_norm": asked.clip_norm, "accumulate": asked.accumulate}


def _reject_preset_options(arguments: argparse.Namespace, asked: Preset, rank: Rank) -> None:
    from perfsuite.training.step.presets import EAGER

    if rank.world_size > 1:
        raise UsageError("train: --fastest measures in one process, this is one of several; give a preset")
    free = replace(EAGER, precision=asked.precision, **_user_fixed_fields(asked))
    if asked.compile_mode == "default":  # means that it may, not that it must
        asked = replace(asked, compile_mode="off")
    if asked != free or arguments.precision:
        raise UsageError("train: --fastest chooses the preset itself; leave out the options that name one")
    if arguments.resume:
        raise UsageError(
            "train: --fastest could choose otherwise than before; resume with the preset that the log names"
        )


def _candidates(arguments: argparse.Namespace, rank: Rank) -> list[str]:
    from perfsuite.advise.preset_search import CPU_CANDIDATES, CPU_COMPILED_CANDIDATES, CUDA_CANDIDATES

    on_cpu = CPU_COMPILED_CANDIDATES if arguments.compile else CPU_CANDIDATES
    return [
        name
        for name in (CUDA_CANDIDATES if rank.device.type == "cuda" else on_cpu)
        if arguments.amp is not False or ("bf16" not in name and name != "combined")
    ]


def _format_speedup(speedup: Interval) -> str:
    if not (isfinite(speedup.low) and isfinite(speedup.high)):
        return "too few turns to say; give --fastest more seconds"
    return f"{speedup.low:.2f} to {speedup.high:.2f} times the speed of eager"
