"""Find how many workers to load with: time each number in turns, and find where more stop paying off.

  perfsuite sweep --data-dir images/
  perfsuite sweep --data-dir images/ --num-workers 0 2 4 --engine threads processes --augmentation-mode none
  perfsuite sweep --data-dir images/ --augmentation-mode conservative moderate aggressive --model resnet18
  perfsuite sweep --csv labels.csv --data-dir images/ --config sweep.toml --json sweep.json
  perfsuite sweep --loader my_package.data:make_loader --model my_package.models:Net --num-workers 0,2,4

--loader is a DataLoader, another iterable of batches, or a function of num_workers (and batch_size and
prefetch_factor, where it takes them) that returns one. --dataset is a torch Dataset. The current folder is on
the path. A config file has the same names (num_workers = [0, 2, 4], data_dir = "images"); the command line
wins. Ctrl-C or SIGTERM reports what was measured until then. Without --data-dir synthetic images are loaded.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import NONNEGATIVE_INT, POSITIVE_INT, duration, number, several
from perfsuite.cli.output import text_stream, write_json
from perfsuite.cli.progress import ProgressLine
from perfsuite.cli.report_option import add_report_argument, command_line, write_report
from perfsuite.cli.sweep_options import SweepOptions, check_loader_source, check_options, read_options
from perfsuite.errors import DataError, UsageError

if TYPE_CHECKING:
    from perfsuite.advise.sweep.config import SweepConfig
    from perfsuite.advise.sweep.report import SweepReport
    from perfsuite.advise.sweep.setting_loaders import SettingLoaders
    from perfsuite.data.sources.base import ImageSource

DEFAULTS = SweepOptions()
MIN_BLOCKS = 1  # taken even where the time limit is over before


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that are not given leave no attribute: the config file, then the defaults, fill them in."""

    def add(
        name: str,
        what: str,
        type_: Callable[[str], object] = str,
        metavar: str = "NAME",
        nargs: str | None = None,
    ) -> None:
        default = getattr(DEFAULTS, name.removeprefix("--").replace("-", "_"))
        default_text = (
            " ".join(map(str, default)) if isinstance(default, tuple) else f"{default}".removesuffix(".0")
        )
        text = what if default is None else f"{what} ({default_text})"
        parser.add_argument(
            name, type=type_, metavar=metavar, nargs=nargs, default=argparse.SUPPRESS, help=text
        )

    add("--data-dir", "images in class folders", Path, "DIR")
    add("--csv", "files and labels of the images in --data-dir", Path, "FILE")
    add("--file-column", "column of the CSV")
    add("--label-column", "column of the CSV")
    add("--dataset", "a Dataset of yours instead of images", metavar="MODULE:NAME")
    add("--loader", "a loader of yours instead of images", metavar="MODULE:NAME")
    add("--model", "a model by name or MODULE:NAME, to compare loading with its training step")
    add("--num-workers", "numbers of workers", several(number(NONNEGATIVE_INT)), "N", nargs="+")
    add("--engine", "auto, threads, processes, subprocess", nargs="+")
    add("--prefetch-factor", "batches loaded ahead", number(POSITIVE_INT), "N", nargs="+")
    add(
        "--augmentation-mode",
        "conservative, moderate, aggressive or none; the first decides, all are compared",
        several(str),
        metavar="MODE",
        nargs="+",
    )
    add("--batch-size", "images per batch", number(POSITIVE_INT), "N")
    add("--image-size", "height and width in pixels", number(POSITIVE_INT), "PX")
    add("--decoder", "auto, or one of perfsuite.data.decoding.registry")
    add("--on-error", "raise, skip or substitute", metavar="POLICY")
    add("--start-method", "of processes: fork, forkserver or spawn")
    add("--epochs", "epochs of the run whose time is estimated", number(POSITIVE_INT), "N")
    add("--seconds", "time limit of the sweep; turns are shorter where it is short", duration, "TIME")
    add("--json", "write the figures as JSON (- for stdout)", metavar="FILE")
    add_report_argument(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        default=argparse.SUPPRESS,
        help="exit 1 where a target is broken, 10 where it is unclear",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="options from a TOML file, or YAML with PyYAML"
    )


def run(arguments: argparse.Namespace) -> int:
    options = merge_options(arguments)
    from perfsuite.advise.sweep.targets import check_targets
    from perfsuite.errors import ExitCode
    from perfsuite.judge.verdict import exit_code

    report = _measure(options)
    _print_and_write(report, options.json)
    if arguments.report is not None:
        from perfsuite.advise.pages.sweep_page import sweep_document

        write_report(arguments, sweep_document(report, command_line(arguments)))
    if not report.is_complete:
        return ExitCode.INTERRUPTED
    return exit_code(check_targets(report, report.choice().result)) if options.check else ExitCode.KEPT


def merge_options(arguments: argparse.Namespace) -> SweepOptions:
    """The command line over the config file over the defaults."""
    given = {name: value for name, value in vars(arguments).items() if name in SweepOptions.__slots__}
    from_file = {} if arguments.config is None else read_options(arguments.config)
    options = from_file | check_options(given, "sweep")
    check_loader_source(options, "sweep")
    return SweepOptions(**options)


def _measure(options: SweepOptions) -> SweepReport:
    from perfsuite.advise.sweep.measure import measure_sweep
    from perfsuite.advise.sweep.step_side import step_of_model

    # More workers than cores are part of the question.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    with ProgressLine() as on_progress:
        try:
            config = _config(options)
            make_step = None if options.model is None else step_of_model(options.model)
            return measure_sweep(_loaders(options, config), config, on_progress, make_step)
        except ValueError as error:  # how make_loaders refuses an option
            raise UsageError(f"sweep: {error}") from error


def _loaders(options: SweepOptions, config: SweepConfig) -> SettingLoaders:
    from perfsuite.advise.inputs.loaders import load_user_dataset, load_user_loader
    from perfsuite.advise.sweep.setting_loaders import ImageLoaders, OwnLoaders

    if options.dataset is not None:
        return OwnLoaders(load_user_dataset(options.dataset, options.batch_size))
    if options.loader is not None:
        return OwnLoaders(load_user_loader(options.loader, options.batch_size))
    return ImageLoaders(_source(options), config)


def _source(options: SweepOptions) -> ImageSource:
    from perfsuite.data.sources.files import labeled_csv
    from perfsuite.data.sources.splits import read_splits
    from perfsuite.data.synthetic import dataset

    if options.csv is not None:
        if options.data_dir is None:
            raise UsageError("sweep: --csv without --data-dir, expected the folder of its images too")
        if not options.csv.is_file():
            raise UsageError(f"sweep: {options.csv}: no such file")
        return labeled_csv(options.csv, options.data_dir, options.file_column, options.label_column)
    try:
        return read_splits(options.data_dir or dataset.cached_dataset(images=96, classes=8), 0.0, 0.0)[
            "train"
        ]
    except FileNotFoundError as error:
        raise DataError(str(error)) from error


def _config(options: SweepOptions) -> SweepConfig:
    from perfsuite.advise.sweep.config import SweepConfig

    return SweepConfig(
        num_workers=options.num_workers,
        engines=options.engine,
        prefetch_factors=options.prefetch_factor,
        augmentation_modes=options.augmentation_mode,
        epochs=options.epochs,
        min_blocks=MIN_BLOCKS,
        batch_size=options.batch_size,
        seconds=options.seconds,
        loader_options={
            "image_size": options.image_size,
            "decoder": options.decoder,
            "on_error": options.on_error,
            "start_method": options.start_method,
        },
    )


def _print_and_write(report: SweepReport, target: str | None) -> None:
    from rich.console import Console

    from perfsuite.advise.sweep.json_ import sweep_to_dict
    from perfsuite.advise.sweep.terminal import print_sweep

    stream = text_stream(target)
    width = None if stream is sys.stdout and stream.isatty() else 100
    print_sweep(report, Console(file=stream, width=width, highlight=False))
    if target is not None:
        write_json("--json", target, sweep_to_dict(report))
