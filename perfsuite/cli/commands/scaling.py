"""Measure how much of its speed each rank keeps when several train together, under torchrun.

  perfsuite scaling --nproc-per-node 2             # starts torchrun itself
  torchrun --nproc-per-node 2 -m perfsuite scaling
  torchrun --nproc-per-node 8 -m perfsuite scaling --model resnet50 --image-size 224 --batch-size 128
  perfsuite scaling --nproc-per-node 2 --model my_package.models:Net --loader my_package.data:make_loader

The first rank alone and all ranks together take turns. Each rank has a batch of its own (weak scaling): the
first of --data-dir, --dataset or --loader, else random images.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import (
    POSITIVE_INT,
    add_seconds_argument,
    add_step_arguments,
    number,
    step_argv,
)
from perfsuite.cli.input_options import add_loader_arguments, loader_argv, open_train_loader
from perfsuite.cli.output import add_json_argument, print_message, text_stream, write_json
from perfsuite.cli.progress import print_progress
from perfsuite.cli.report_option import add_report_argument, command_line, write_report

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.advise.scaling import ScalingResult
    from perfsuite.training.distributed.ranks import Rank


# Covers processes that import PyTorch at the same time, and the first step of each.
STARTUP_SECONDS = 300.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_step_arguments(parser)
    add_loader_arguments(parser)
    add_seconds_argument(parser, 20.0)
    parser.add_argument(
        "--nproc-per-node",
        type=number(POSITIVE_INT),
        metavar="N",
        help="number of ranks to start with torchrun on this machine",
    )
    add_json_argument(parser)
    add_report_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.nproc_per_node is not None:
        _run_under_torchrun(arguments)
        return 0
    from perfsuite.advise.scaling import measure_scaling
    from perfsuite.training.distributed.ranks import process_group, rank_from_torchrun

    with process_group(rank_from_torchrun(arguments.device)) as rank:
        model, images, labels = _model_and_batch(arguments, rank)
        result = measure_scaling(rank, model, images, labels, arguments.seconds)
    if result is not None:
        print_message(_summary(result), text_stream(arguments.json))
        if arguments.json is not None:
            write_json("--json", arguments.json, asdict(result))
        if arguments.report is not None:
            from perfsuite.advise.pages.scaling_page import scaling_document

            write_report(arguments, scaling_document(result, command_line(arguments)))
    return 0


def _model_and_batch(arguments: argparse.Namespace, rank: Rank) -> tuple[nn.Module, Tensor, Tensor]:
    """The first batch of the user's images, or random ones; every rank seeds and so draws its own."""
    from perfsuite.advise.inputs.batches import images_and_labels
    from perfsuite.advise.inputs.models import load_model_for
    from perfsuite.advise.timed_step import random_batch
    from perfsuite.training.devices import DeviceTransfer

    images, labels = random_batch(arguments.batch_size, arguments.image_size, rank.device, seed=rank.index)
    if loader_argv(arguments):
        loader = open_train_loader(arguments, 0, image_size=arguments.image_size, seed=rank.index)
        images, labels = images_and_labels(next(iter(loader)), "scaling")
    classes = _classes_of_all_ranks(labels, rank)
    model = load_model_for(arguments.model, images.cpu(), labels.cpu(), classes).to(rank.device)
    return model, *DeviceTransfer(rank.device)((images, labels))


def _classes_of_all_ranks(labels: Tensor, rank: Rank) -> int:
    """One more than the largest label of any rank: models of different sizes cannot train together."""
    import torch
    import torch.distributed as dist

    largest = torch.tensor([int(labels.max())], device=rank.device)
    if dist.is_initialized():
        dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return int(largest) + 1


def _run_under_torchrun(arguments: argparse.Namespace) -> None:
    from perfsuite.training.distributed.torchrun import run_ranks

    limit = STARTUP_SECONDS + arguments.seconds
    message = f"{arguments.nproc_per_node} ranks start and measure for {arguments.seconds:g} s"
    print_progress("scaling", f"{message}; what takes longer than {limit:g} s is stopped")
    words = ["-m", "perfsuite", "scaling", *step_argv(arguments), *loader_argv(arguments)]
    if arguments.json is not None:
        words += ["--json", arguments.json]
    if arguments.report is not None:
        words += ["--report", str(arguments.report)]
    output = run_ranks(arguments.nproc_per_node, words, limit)
    print_message(output.rstrip("\n"), sys.stdout)


def _summary(result: ScalingResult) -> str:
    low, high = result.efficiency.low, result.efficiency.high
    return (
        f"{result.ranks} ranks: {result.images_per_second:,.0f} images/s, one alone "
        f"{result.single_rank_images_per_second:,.0f}\n"
        f"each keeps {low:.0%} to {high:.0%} of its speed alone ({result.efficiency.level:.0%} confidence, "
        f"{result.blocks} blocks of turns)\n"
        f"a step exchanges {result.all_reduces} all-reduces, {result.all_reduced_bytes:,} bytes"
    )
