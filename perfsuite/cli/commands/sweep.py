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
from typing import TYPE_CHECKING

from perfsuite.cli.output import text_stream, write_json
from perfsuite.cli.progress import ProgressLine
from perfsuite.cli.report_option import command_line, write_report
from perfsuite.cli.sweep_arguments import add_sweep_arguments, setting_loaders, sweep_config
from perfsuite.cli.sweep_options import SweepOptions, options_from
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from perfsuite.advise.sweep.report import SweepReport

MIN_BLOCKS = 1  # taken even where the time limit is over before


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_sweep_arguments(parser, SweepOptions())


def run(arguments: argparse.Namespace) -> int:
    options = options_from(arguments, SweepOptions, "sweep")
    from perfsuite.advise.sweep.goals import check_goals
    from perfsuite.errors import ExitCode
    from perfsuite.judge.verdict import exit_code

    report = _measure(options)
    _print_and_write(report, options.json)
    if arguments.report is not None:
        from perfsuite.advise.pages.sweep_page import sweep_document

        write_report(arguments, sweep_document(report, command_line(arguments)))
    if not report.is_complete:
        return ExitCode.INTERRUPTED
    return exit_code(check_goals(report, report.choice().result)) if options.check else ExitCode.KEPT


def _measure(options: SweepOptions) -> SweepReport:
    from perfsuite.advise.sweep.measure import measure_sweep
    from perfsuite.advise.sweep.step_side import step_of_model

    # More workers than cores are part of the question.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    with ProgressLine() as on_progress:
        try:
            config = sweep_config(options, MIN_BLOCKS)
            make_step = None if options.model is None else step_of_model(options.model)
            return measure_sweep(setting_loaders(options, "sweep")(config), config, on_progress, make_step)
        except ValueError as error:  # how make_loaders refuses an option
            raise UsageError(f"sweep: {error}") from error


def _print_and_write(report: SweepReport, target: str | None) -> None:
    from rich.console import Console

    from perfsuite.advise.sweep.json_ import sweep_to_dict
    from perfsuite.advise.sweep.terminal import print_sweep

    stream = text_stream(target)
    width = None if stream is sys.stdout and stream.isatty() else 100
    print_sweep(report, Console(file=stream, width=width, highlight=False))
    if target is not None:
        write_json("--json", target, sweep_to_dict(report))
