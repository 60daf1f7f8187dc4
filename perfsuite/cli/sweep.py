"""Find out how many workers to load with: each number in turns, the knee where more stop paying, and why.

  perfsuite sweep --data-dir images/
  perfsuite sweep --data-dir images/ --workers 0 2 4 --engine threads processes --mode moderate
  perfsuite sweep --csv labels.csv --data-dir images/ --settings sweep.toml --json sweep.json

A settings file has the same names (workers = [0, 2, 4], data_dir = "images"); the command line is above it.
Ctrl-C shows what was measured until then. Without --data-dir images are made here.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from perfsuite.cli.arguments import nonnegative_int, positive_int
from perfsuite.errors import DataError, UsageError

if TYPE_CHECKING:
    from perfsuite.advise.sweep.measure import SweepConfig
    from perfsuite.data.sources.files import ImageSource

DEFAULTS = {
    "data_dir": None,
    "csv": None,
    "file_column": "file",
    "label_column": "label",
    "workers": [0, 1, 2, 4, 8],
    "engine": ["auto"],
    "prefetch_factor": [2],
    "mode": "moderate",
    "batch_size": 32,
    "image_size": 224,
    "decoder": "auto",
    "on_error": "raise",
    "start_method": None,
    "seconds": 60.0,
    "check": False,
    "json": None,
}
PATHS = ("data_dir", "csv", "json")
# Told to make_loaders by the same name.
LOADER_OPTIONS = ("image_size", "decoder", "on_error", "start_method")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_options(parser)
    parser.add_argument("--settings", type=Path, metavar="FILE", help="options from a TOML file")


def _add_options(parser: argparse.ArgumentParser) -> None:
    """Absent ones stay absent, so that the file's and then the defaults come in their place."""

    def add(name: str, told: str, **more: Any) -> None:
        parser.add_argument(name, default=argparse.SUPPRESS, help=told, **more)

    add("--data-dir", "images in class folders", type=Path, metavar="DIR")
    add("--csv", "files and labels, of images in --data-dir", type=Path, metavar="FILE")
    add("--file-column", "of the CSV (file)", metavar="NAME")
    add("--label-column", "of the CSV (label)", metavar="NAME")
    add("--workers", "numbers of workers (0 1 2 4 8)", type=nonnegative_int, nargs="+", metavar="N")
    add("--engine", "auto, threads, processes, subprocess (auto)", nargs="+", metavar="NAME")
    add("--prefetch-factor", "batches ahead (2)", type=positive_int, nargs="+", metavar="N")
    add("--mode", "conservative, moderate, aggressive or none (moderate)", metavar="MODE")
    add("--batch-size", "images a batch (32)", type=positive_int, metavar="N")
    add("--image-size", "side in pixels (224)", type=positive_int, metavar="PX")
    add("--decoder", "auto, or one of perfsuite.data.decoding.registry (auto)", metavar="NAME")
    add("--on-error", "raise, skip or substitute (raise)", metavar="POLICY")
    add("--start-method", "of processes: fork, forkserver or spawn", metavar="NAME")
    add("--seconds", "of turns, and as long as 8 blocks of them take (60)", type=float)
    add("--check", "exit 1 where a target is broken, 10 where it is unclear", action="store_true")
    add("--json", "write the figures there as well", type=Path, metavar="FILE")


def run(arguments: argparse.Namespace) -> int:
    told = merged_options(arguments)
    from rich.console import Console

    from perfsuite import atomic
    from perfsuite.advise.sweep.measure import measure_sweep
    from perfsuite.advise.sweep.results import check_targets
    from perfsuite.advise.sweep.terminal import print_sweep, sweep_to_dict
    from perfsuite.errors import ExitCode
    from perfsuite.judge.verdict import exit_code

    tell = _ProgressLine(sys.stderr)
    # More workers than cores are what is asked about.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    try:
        found = measure_sweep(_source(told), _config(told), tell)
    except ValueError as error:  # make_loaders' way to refuse an option
        raise UsageError(f"sweep: {error}") from error
    finally:
        tell.end()
    print_sweep(found, Console(width=None if sys.stdout.isatty() else 100, highlight=False))
    if told["json"] is not None:
        atomic.replace(told["json"], json.dumps(sweep_to_dict(found), indent=1, allow_nan=False).encode())
    if not found.is_complete:
        return ExitCode.INTERRUPTED
    return exit_code(check_targets(found, found.choice().seen)) if told["check"] else 0


def merged_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The defaults, over them the settings file's, over them the command line's."""
    given = {name: value for name, value in vars(arguments).items() if name in DEFAULTS}
    path = arguments.settings
    return DEFAULTS | ({} if path is None else _options_from_file(path)) | given


def _options_from_file(path: Path) -> dict[str, Any]:
    """Its entries through the same parser as the command line's words, so that both are checked alike."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}; expected TOML") from error
    parser = argparse.ArgumentParser(prog=f"perfsuite sweep: {path}", usage=argparse.SUPPRESS)
    _add_options(parser)
    words = [word for name, value in entries.items() for word in _argv_from_entry(path, name, value)]
    return vars(parser.parse_args(words))


def _argv_from_entry(path: Path, name: str, value: object) -> Iterator[str]:
    option = name.replace("-", "_")
    if option not in DEFAULTS:
        raise UsageError(f"{path}: {name!r}, expected one of {', '.join(DEFAULTS)}")
    if isinstance(value, bool):
        if value:
            yield f"--{option.replace('_', '-')}"
        return
    yield f"--{option.replace('_', '-')}"
    for one in value if isinstance(value, list) else [value]:
        # A folder is meant as seen from the file, as in every settings file.
        yield str(path.parent / one) if option in PATHS and isinstance(one, str) else str(one)


def _source(told: dict[str, Any]) -> ImageSource:
    from perfsuite.data.sources.files import labeled_csv, read_splits
    from perfsuite.data.synthetic import dataset

    folder = told["data_dir"]
    if told["csv"] is not None:
        if folder is None:
            raise UsageError("sweep: --csv without --data-dir, expected the folder of its images too")
        if not told["csv"].is_file():
            raise UsageError(f"sweep: {told['csv']}: no such file")
        return labeled_csv(told["csv"], folder, told["file_column"], told["label_column"])
    if folder is None:
        folder = dataset.cached_dataset(images=96, classes=8)
    try:
        return read_splits(folder, 0.0, 0.0)["train"]
    except FileNotFoundError as error:
        raise DataError(str(error)) from error


def _config(told: dict[str, Any]) -> SweepConfig:
    from perfsuite.advise.sweep.measure import SweepConfig

    return SweepConfig(
        tuple(told["workers"]),
        tuple(told["engine"]),
        tuple(told["prefetch_factor"]),
        told["mode"],
        told["batch_size"],
        told["seconds"],
        {name: told[name] for name in LOADER_OPTIONS},
    )


class _ProgressLine:
    """What is being done: one line that changes, or lines where it is no terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._is_terminal = out, out.isatty()

    def __call__(self, doing: str) -> None:
        self._out.write(f"\r\033[K{doing}" if self._is_terminal else f"{doing}\n")
        self._out.flush()

    def end(self) -> None:
        if self._is_terminal:
            self._out.write("\r\033[K")
