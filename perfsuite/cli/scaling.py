"""Measure how much of its speed a rank keeps when several train together.

  perfsuite scaling --ranks 2                        starts torchrun itself
  torchrun --nproc-per-node 2 -m perfsuite scaling
  torchrun --nproc-per-node 8 -m perfsuite scaling --model resnet50 --image-size 224 --batch-size 128

The first rank alone and all ranks together take turns on the same batch; the batch is each rank's own.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.advise.torchrun import run_ranks
from perfsuite.cli.arguments import add_step_arguments, positive_float, positive_int

if TYPE_CHECKING:
    from perfsuite.advise.scaling import ScalingResult


# Processes that import torch one beside the other, and a first step of each.
STARTUP_SECONDS = 300.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_step_arguments(parser)
    parser.add_argument("--seconds", type=positive_float, default=20.0, help="how long (20)")
    parser.add_argument("--ranks", type=positive_int, metavar="N", help="start so many on this machine")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")


def run(arguments: argparse.Namespace) -> int:
    if arguments.ranks is not None:
        print(run_ranks(arguments.ranks, _rank_argv(arguments), STARTUP_SECONDS + arguments.seconds), end="")
        return 0
    import torch

    from perfsuite import atomic
    from perfsuite.advise.scaling import measure_scaling
    from perfsuite.training.distributed.ranks import process_group, rank_from_torchrun
    from perfsuite.training.models import make_model

    side = arguments.image_size
    with process_group(rank_from_torchrun(arguments.device)) as rank:
        torch.manual_seed(rank.index)
        images = torch.randn(arguments.batch_size, 3, side, side, device=rank.device)
        labels = torch.randint(10, (arguments.batch_size,), device=rank.device)
        model = make_model(arguments.model, 10).to(rank.device)
        found = measure_scaling(rank, model, images, labels, arguments.seconds)
    if found is not None:
        print(_summary(found))
        if arguments.json is not None:
            atomic.replace(arguments.json, json.dumps(asdict(found), indent=1).encode())
    return 0


def _rank_argv(arguments: argparse.Namespace) -> list[str]:
    """The same command without --ranks, as each rank is to run it."""
    words = ["-m", "perfsuite", "scaling", "--model", arguments.model, "--device", arguments.device]
    words += ["--image-size", str(arguments.image_size), "--batch-size", str(arguments.batch_size)]
    words += ["--seconds", str(arguments.seconds)]
    return [*words, *(["--json", str(arguments.json)] if arguments.json else [])]


def _summary(found: ScalingResult) -> str:
    low, high = found.efficiency.low, found.efficiency.high
    return (
        f"{found.ranks} ranks: {found.images_per_second:,.0f} images/s, one alone "
        f"{found.single_rank_images_per_second:,.0f}\n"
        f"each keeps {low:.0%} to {high:.0%} of its speed alone ({found.efficiency.level:.0%} confidence, "
        f"{found.blocks} blocks of turns)\n"
        f"a step exchanges {found.all_reduces} all-reduces, {found.all_reduced_bytes:,} bytes"
    )
