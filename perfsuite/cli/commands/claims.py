"""Measure common claims about training optimizations on this machine: met, not met here, or unclear.

  perfsuite claims
  perfsuite claims --model resnet18-cifar --image-size 32 --batch-size 256 --device cuda
  perfsuite claims --data-dir images/ --model my_package.models:Net --seconds 10m --markdown claims.md
  perfsuite claims --loader my_package.data:make_loader

Loading, torch.compile, AMP, channels_last, all combined, accumulation, checkpointing, batch sizes and exports
are timed in turns in one process, after their results were compared with those of plain float32. Each part
has its share of --seconds, passes on what it does not use, and is interrupted where it takes longer; what is
missing is named, with the reason. What is done is reported also where the run is stopped. Run nothing else
beside it.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from perfsuite.advise.claims.parts import DEFAULT_SECONDS
from perfsuite.cli.arguments import add_seconds_argument, add_step_arguments, step_argv
from perfsuite.cli.input_options import add_loader_arguments, loader_argv, open_train_loader, user_loader
from perfsuite.cli.output import STDOUT, write_output
from perfsuite.cli.progress import print_progress
from perfsuite.cli.report_option import add_report_argument, write_report

if TYPE_CHECKING:
    from perfsuite.advise.claims.results import ClaimsReport

IMAGES = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_step_arguments(parser)
    add_loader_arguments(parser)
    add_seconds_argument(parser, DEFAULT_SECONDS, "time limit of all parts together")
    add_report_argument(parser)
    parser.add_argument(
        "--markdown", default=STDOUT, metavar="FILE", help="write the page there (default: - for stdout)"
    )


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.advise.claims.config import ClaimsConfig
    from perfsuite.advise.claims.markdown import render_claims
    from perfsuite.advise.claims.measure import measure_claims
    from perfsuite.data.synthetic import dataset
    from perfsuite.training.devices import choose_device

    config = ClaimsConfig(
        model=arguments.model,
        image_size=arguments.image_size,
        batch_size=arguments.batch_size,
        seconds=arguments.seconds,
        device=str(choose_device(arguments.device)),
        user_loader=user_loader(arguments),
    )
    if arguments.data_dir is not None:
        open_train_loader(arguments, 0)  # refuses a folder without images before anything is measured
    command = " ".join(["perfsuite claims", *step_argv(arguments), *loader_argv(arguments)])
    page = ""
    measured: ClaimsReport | None = None

    def save(report: ClaimsReport) -> None:
        nonlocal page, measured
        measured = report
        page = render_claims(report, command)
        if arguments.markdown != STDOUT:
            write_output("--markdown", arguments.markdown, page)

    try:
        images = arguments.data_dir or dataset.cached_dataset(images=IMAGES)
        measure_claims(config, images, partial(print_progress, "claims"), save)
    finally:
        if arguments.markdown == STDOUT:
            print(page, end="")
        elif page:
            print(f"{arguments.markdown}: written")
        if arguments.report is not None and measured is not None:
            from perfsuite.advise.pages.claims_page import claims_document

            write_report(arguments, claims_document(measured, command))
    return 0
