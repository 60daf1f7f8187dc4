"""The arguments that `perfsuite sweep` and `perfsuite advise` share, and the loaders that they describe."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import (
    DECODER_NAMES,
    NONNEGATIVE_INT,
    POSITIVE_INT,
    CommaSeparated,
    duration,
    number,
)
from perfsuite.cli.config_file import add_config_argument
from perfsuite.cli.output import output_target
from perfsuite.cli.report_option import add_report_argument
from perfsuite.cli.sweep_options import SweepOptions
from perfsuite.errors import DataError, UsageError

if TYPE_CHECKING:
    from perfsuite.advise.sweep.config import SweepConfig
    from perfsuite.advise.sweep.setting_loaders import SettingLoaders
    from perfsuite.data.sources.base import ImageSource


# Where the default is an empty list.
BY_MACHINE = {"num_workers": "by the number of cores", "decoder": "all that are installed"}


class OptionAdder:
    """Adds options without defaults of their own: the config file, then `defaults`, fill them in."""

    def __init__(self, parser: argparse.ArgumentParser, defaults: SweepOptions) -> None:
        self._parser, self._defaults = parser, defaults

    def __call__(
        self,
        name: str,
        what: str,
        type_: Callable[[str], object] = str,
        metavar: str = "NAME",
        nargs: str | None = None,
    ) -> None:
        field = name.removeprefix("--").replace("-", "_")
        default = getattr(self._defaults, field)
        default_text = (
            " ".join(map(str, default)) or BY_MACHINE[field]
            if isinstance(default, tuple)
            else f"{default}".removesuffix(".0")
        )
        text = what if default is None else f"{what} ({default_text})"
        self._parser.add_argument(
            name, type=type_, metavar=metavar, nargs=nargs, default=argparse.SUPPRESS, help=text
        )


def add_sweep_arguments(parser: argparse.ArgumentParser, defaults: SweepOptions) -> OptionAdder:
    add = OptionAdder(parser, defaults)
    add("--data-dir", "images in class folders", Path, "DIR")
    add("--csv", "files and labels of the images in --data-dir", Path, "FILE")
    add("--file-column", "column of the CSV")
    add("--label-column", "column of the CSV")
    add("--dataset", "a Dataset of yours instead of images", metavar="MODULE:NAME")
    add("--loader", "a loader of yours instead of images", metavar="MODULE:NAME")
    add("--model", "a model by name or MODULE:NAME, to compare loading with its training step")
    add("--num-workers", "numbers of workers", CommaSeparated(number(NONNEGATIVE_INT)), "N", nargs="+")
    add("--engine", "auto, threads, processes, subprocess", nargs="+")
    add("--prefetch-factor", "batches loaded ahead", number(POSITIVE_INT), "N", nargs="+")
    add(
        "--augmentation-mode",
        "mirror, conservative, moderate, aggressive or none; the first decides, all are compared",
        CommaSeparated(str),
        metavar="MODE",
        nargs="+",
    )
    add("--batch-size", "images per batch", CommaSeparated(number(POSITIVE_INT)), "N", nargs="+")
    add("--image-size", "height and width in pixels", number(POSITIVE_INT), "PX")
    add("--decoder", DECODER_NAMES, CommaSeparated(str), nargs="+")
    add("--on-error", "raise, skip or substitute", metavar="POLICY")
    add("--start-method", "of processes: fork, forkserver or spawn")
    add("--epochs", "epochs of the run whose time is estimated", number(POSITIVE_INT), "N")
    add("--seconds", "time limit of all turns; turns are shorter where it is short", duration, "TIME")
    add("--json", "write the figures as JSON (- for stdout)", output_target, "FILE")
    parser.add_argument(
        "--check",
        action="store_true",
        default=argparse.SUPPRESS,
        help="exit 1 where a goal is broken, 10 where it is unclear",
    )
    add_config_argument(parser)
    add_report_argument(parser)
    return add


def setting_loaders(options: SweepOptions, who: str) -> Callable[[SweepConfig], SettingLoaders]:
    """What opens the loaders of a config: of images, or the user's."""
    from perfsuite.advise.inputs.loaders import load_user_dataset, load_user_loader
    from perfsuite.advise.sweep.setting_loaders import ImageLoaders, UserSettingLoaders

    if options.dataset is not None:
        loaders = UserSettingLoaders(load_user_dataset(options.dataset, options.batch_size[0]))
        return lambda config: loaders
    if options.loader is not None:
        loaders = UserSettingLoaders(load_user_loader(options.loader, options.batch_size[0]))
        return lambda config: loaders
    source = _source(options, who)
    return lambda config: ImageLoaders(source, config)


def _source(options: SweepOptions, who: str) -> ImageSource:
    from perfsuite.data.sources.files import labeled_csv
    from perfsuite.data.sources.splits import read_splits
    from perfsuite.data.synthetic import dataset

    if options.csv is not None:
        if options.data_dir is None:
            raise UsageError(f"{who}: --csv without --data-dir, expected the folder of its images too")
        if not options.csv.is_file():
            raise UsageError(f"{who}: {options.csv}: no such file")
        return labeled_csv(options.csv, options.data_dir, options.file_column, options.label_column)
    try:
        folder = options.data_dir or dataset.cached_dataset(images=96, classes=8)
        return read_splits(folder, 0.0, 0.0)["train"]
    except FileNotFoundError as error:
        raise DataError(str(error)) from error


def sweep_config(options: SweepOptions, min_blocks: int) -> SweepConfig:
    from perfsuite.advise.sweep.config import SweepConfig
    from perfsuite.data.engines.registry import check_engine_name

    for name in options.engine:
        check_engine_name(name)
    return SweepConfig(
        num_workers=options.num_workers,
        engines=options.engine,
        prefetch_factors=options.prefetch_factor,
        augmentation_modes=options.augmentation_mode,
        epochs=options.epochs,
        min_blocks=min_blocks,
        batch_size=options.batch_size[0],
        batch_sizes=options.batch_size if len(options.batch_size) > 1 else (),
        decoders=options.decoder if len(options.decoder) > 1 else (),
        seconds=options.seconds,
        loader_options={
            "image_size": options.image_size,
            "decoder": options.decoder[0] if options.decoder else "auto",
            "on_error": options.on_error,
            "start_method": options.start_method,
        },
    )
