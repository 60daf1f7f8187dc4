"""Measure what is claimed of training optimizations on this machine: met, not met here, or unclear.

  perfsuite claims
  perfsuite claims --model resnet18-cifar --image-size 32 --batch-size 256 --device cuda
  perfsuite claims --seconds 60 --write claims.md

Loading, torch.compile, AMP, channels_last, all combined, accumulation, checkpointing, batch sizes and exports
are timed in turns in one process, after their results were compared with plain float32's. What is done is
kept as soon as it is, also where the run is stopped. Takes some minutes; nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import add_step_arguments, positive_float

if TYPE_CHECKING:
    from perfsuite.advise.claims.results import ClaimsReport

IMAGES = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_step_arguments(parser)
    parser.add_argument("--seconds", type=positive_float, default=40.0, help="for each of the tables (40)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page as Markdown; else it is printed")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite import atomic
    from perfsuite.advise.claims.markdown import render_claims
    from perfsuite.advise.claims.measure import ClaimsConfig, measure_claims
    from perfsuite.data.synthetic import dataset
    from perfsuite.training.devices import choose_device

    question = ClaimsConfig(
        model=arguments.model,
        image_size=arguments.image_size,
        batch_size=arguments.batch_size,
        seconds=arguments.seconds,
        device=str(choose_device(arguments.device)),
    )
    latest = ""

    def keep(found: ClaimsReport) -> None:
        nonlocal latest
        latest = render_claims(found, _repro_command(arguments))
        if arguments.write is not None:
            atomic.replace(arguments.write, latest.encode())

    try:
        measure_claims(question, dataset.cached_dataset(images=IMAGES), _print_progress, keep)
    finally:
        if arguments.write is None:
            print(latest, end="")
        elif latest:
            print(f"{arguments.write}: written")
    return 0


def _print_progress(doing: str) -> None:
    print(doing, file=sys.stderr, flush=True)


def _repro_command(arguments: argparse.Namespace) -> str:
    words = ["perfsuite claims", f"--model {arguments.model}", f"--image-size {arguments.image_size}"]
    words += [f"--batch-size {arguments.batch_size}", f"--seconds {arguments.seconds:g}"]
    if arguments.device != "auto":
        words.append(f"--device {arguments.device}")
    return " ".join(words)
