"""Advise loader settings: find the fastest, name the bottleneck of training, and write what to set.

  perfsuite advise --data-dir images/ --report advice/
  perfsuite advise --data-dir images/ --model resnet18 --augmentation-mode moderate aggressive
  perfsuite advise --csv labels.csv --data-dir images/ --num-workers 0 4 8 16 --batch-size 64
  perfsuite advise --loader my_package.data:make_loader --model my_package.models:Net
  perfsuite advise --dataset my_package.data:Images

Settings race in turns: decoders, then workers and engines, then batches ahead and batch sizes; what another
one is faster than for certain is stopped. Then the pipeline is measured with one thing left out at a time:
the advised loader, no workers, no augmentation, decoded images in memory, the step alone, full training.
--loader is a DataLoader, another iterable of batches (WebDataset, DALI), or a function of num_workers (and
batch_size and prefetch_factor, where it takes them) that returns one. The settings are written to a file for
make_loaders(settings=...) and perfsuite train --settings. Ctrl-C or SIGTERM reports what was measured.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite import atomic
from perfsuite.cli.arguments import duration
from perfsuite.cli.output import print_message, text_stream, write_json
from perfsuite.cli.progress import ProgressLine
from perfsuite.cli.report_option import command_line, write_report
from perfsuite.cli.sweep_arguments import add_sweep_arguments, setting_loaders, sweep_config
from perfsuite.cli.sweep_options import AdviseOptions, options_from
from perfsuite.errors import ExitCode, StoreError, UsageError

if TYPE_CHECKING:
    from perfsuite.advise.loader_advice.measure import AdviceRequest
    from perfsuite.advise.loader_advice.result import LoaderAdvice
    from perfsuite.advise.tuning.tune import SearchSpace

MIN_BLOCKS = 1  # of each race and of the pipeline, taken even where the time limit is over before
HEADER = "# Written by `perfsuite advise`"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = add_sweep_arguments(parser, AdviseOptions())
    add("--settings", "where the advised settings are written, in TOML", Path, "FILE")
    add("--timeout", "a turn that takes longer is a hang", duration, "TIME")
    add("--device", "of the training step: auto, cpu, cuda or cuda:N")


def run(arguments: argparse.Namespace) -> int:
    options = options_from(arguments, AdviseOptions, "advise")
    _check_may_write(options.settings)
    from perfsuite.advise.sweep.goals import check_goals
    from perfsuite.judge.verdict import exit_code

    advice = _measure(options)
    _write_settings(advice, options.settings)
    _print_and_write(advice, options)
    if arguments.report is not None:
        from perfsuite.advise.pages.advice_page import advice_document
        from perfsuite.measure.environment import detect_environment

        environment, command = detect_environment(), command_line(arguments)
        write_report(arguments, advice_document(advice, options.settings, environment, command))
    if not advice.is_complete:
        return ExitCode.INTERRUPTED
    return exit_code(check_goals(advice.report, advice.result)) if options.check else ExitCode.KEPT


def _check_may_write(path: Path) -> None:
    """Refuse to replace a file that this command did not write, before anything is measured."""
    if path.is_dir():
        raise UsageError(f"advise: --settings {path} is a folder, expected a file in one")
    if path.exists() and HEADER.encode() not in path.read_bytes()[:200]:
        raise UsageError(
            f"advise: --settings {path} exists and was not written by this command, expected a new file or "
            "an old one of it; give another name"
        )


def _measure(options: AdviseOptions) -> LoaderAdvice:
    from perfsuite.advise.loader_advice.measure import measure_advice

    # More workers than cores are part of the question.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    with ProgressLine() as on_progress:
        try:
            return measure_advice(_request(options), on_progress)
        except ValueError as error:  # how make_loaders refuses an option
            raise UsageError(f"advise: {error}") from error


def _request(options: AdviseOptions) -> AdviceRequest:
    from perfsuite.advise.loader_advice.measure import AdviceRequest

    space = _search_space(options)
    config = sweep_config(replace(options, num_workers=space.num_workers), MIN_BLOCKS)
    return AdviceRequest(
        subject=str(
            options.loader or options.dataset or options.csv or options.data_dir or "synthetic images"
        ),
        open_loaders=setting_loaders(options, "advise"),
        space=space,
        config=replace(config, decoders=(), batch_sizes=(), hang_seconds=options.timeout),
        model=options.model,
        device=options.device,
    )


def _search_space(options: AdviseOptions) -> SearchSpace:
    from perfsuite.advise.machine import describe_machine
    from perfsuite.advise.sweep.loader_setting import DATA_LOADER
    from perfsuite.advise.tuning.candidates import AUTO, worker_counts
    from perfsuite.advise.tuning.tune import SearchSpace
    from perfsuite.data.decoding.registry import available_decoders

    has_user_loader = options.loader is not None or options.dataset is not None
    return SearchSpace(
        num_workers=options.num_workers or worker_counts(describe_machine().cores),
        engines=(DATA_LOADER,) if has_user_loader else options.engine,
        decoders=() if has_user_loader else options.decoder or (AUTO, *available_decoders()),
        prefetch_factors=options.prefetch_factor,
        batch_sizes=options.batch_size,
    )


def _write_settings(advice: LoaderAdvice, path: Path) -> None:
    from perfsuite.report.text import escape_lines

    found = "" if advice.diagnosis is None else f"; bottleneck: {advice.diagnosis.bottleneck}"
    comments = [f"{HEADER} for {' '.join(escape_lines(advice.subject).split())}{found}"]
    try:
        atomic.replace(path, advice.speed_settings.to_toml(comments).encode())
    except StoreError as error:  # settings, not a stored run: the option is at fault
        raise UsageError(f"advise: --settings: {error}") from error


def _print_and_write(advice: LoaderAdvice, options: AdviseOptions) -> None:
    from rich.console import Console

    from perfsuite.advise.loader_advice.json_ import advice_to_dict
    from perfsuite.advise.loader_advice.terminal import print_advice

    stream = text_stream(options.json)
    width = None if stream is sys.stdout and stream.isatty() else 100
    print_advice(advice, Console(file=stream, width=width, highlight=False), str(options.settings))
    if options.json is not None:
        write_json("--json", options.json, advice_to_dict(advice))
    print_message(f"perfsuite advise: settings in {options.settings}")
