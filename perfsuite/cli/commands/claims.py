"""Measure common claims about training optimizations on this machine: met, not met here, or unclear.

  perfsuite claims
  perfsuite claims --model resnet18-cifar --image-size 32 --batch-size 256 --device cuda
  perfsuite claims --seconds 60 --markdown claims.md

Loading, torch.compile, AMP, channels_last, all combined, accumulation, checkpointing, batch sizes and exports
are timed in turns in one process, after their results were compared with those of plain float32. Each part is
reported when it is done, also where the run is stopped. Takes minutes; run nothing else beside it.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import add_seconds_argument, add_step_arguments, step_argv
from perfsuite.cli.output import STDOUT, write_output
from perfsuite.cli.progress import print_progress

if TYPE_CHECKING:
    from perfsuite.advise.claims.results import ClaimsReport

IMAGES = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_step_arguments(parser)
    add_seconds_argument(parser, 40.0, "time for each table")
    parser.add_argument(
        "--markdown", default=STDOUT, metavar="FILE", help="write the page there (default: - for stdout)"
    )


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.advise.claims.config import ClaimsConfig
    from perfsuite.advise.claims.markdown import render_claims
    from perfsuite.advise.claims.measure import measure_claims
    from perfsuite.data.synthetic import dataset
    from perfsuite.gate.signals import sigterm_as_keyboard_interrupt
    from perfsuite.training.devices import choose_device

    config = ClaimsConfig(
        model=arguments.model,
        image_size=arguments.image_size,
        batch_size=arguments.batch_size,
        seconds=arguments.seconds,
        device=str(choose_device(arguments.device)),
    )
    command = " ".join(["perfsuite claims", *step_argv(arguments)])
    page = ""

    def save(report: ClaimsReport) -> None:
        nonlocal page
        page = render_claims(report, command)
        if arguments.markdown != STDOUT:
            write_output("--markdown", arguments.markdown, page)

    try:
        with sigterm_as_keyboard_interrupt():
            images = dataset.cached_dataset(images=IMAGES)
            measure_claims(config, images, partial(print_progress, "claims"), save)
    finally:
        if arguments.markdown == STDOUT:
            print(page, end="")
        elif page:
            print(f"{arguments.markdown}: written")
    return 0
