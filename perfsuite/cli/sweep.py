"""Find out how many workers to load with: each number in turns, the knee where more stop paying, and why.

  perfsuite sweep --data-dir photos/
  perfsuite sweep --data-dir photos/ --workers 0 2 4 --engine threads processes --mode moderate
  perfsuite sweep --csv labels.csv --data-dir photos/ --settings sweep.toml --json sweep.json

A settings file has the same names (workers = [0, 2, 4], data_dir = "photos"); the command line is above it.
Ctrl-C shows what was measured until then. Without --data-dir pictures are made here.
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

from perfsuite.cli.step_options import natural, positive
from perfsuite.errors import DataError, UsageError

if TYPE_CHECKING:
    from perfsuite.advise.sweep_measured import Question
    from perfsuite.data.sets import Source

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
OF_LOADERS = ("image_size", "decoder", "on_error", "start_method")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_options(parser)
    parser.add_argument("--settings", type=Path, metavar="FILE", help="options from a TOML file")


def _add_options(parser: argparse.ArgumentParser) -> None:
    """Absent ones stay absent, so that the file's and then the defaults come in their place."""

    def add(name: str, told: str, **more: Any) -> None:
        parser.add_argument(name, default=argparse.SUPPRESS, help=told, **more)

    add("--data-dir", "pictures in class folders", type=Path, metavar="DIR")
    add("--csv", "files and labels, of pictures in --data-dir", type=Path, metavar="FILE")
    add("--file-column", "of the CSV (file)", metavar="NAME")
    add("--label-column", "of the CSV (label)", metavar="NAME")
    add("--workers", "numbers of workers (0 1 2 4 8)", type=natural, nargs="+", metavar="N")
    add("--engine", "auto, threads, processes, subprocess (auto)", nargs="+", metavar="NAME")
    add("--prefetch-factor", "batches ahead (2)", type=positive, nargs="+", metavar="N")
    add("--mode", "conservative, moderate, aggressive or none (moderate)", metavar="MODE")
    add("--batch-size", "pictures a batch (32)", type=positive, metavar="N")
    add("--image-size", "side in pixels (224)", type=positive, metavar="PX")
    add("--decoder", "auto, or one of perfsuite.data.decode (auto)", metavar="NAME")
    add("--on-error", "raise, skip or substitute (raise)", metavar="POLICY")
    add("--start-method", "of processes: fork, forkserver or spawn", metavar="NAME")
    add("--seconds", "of turns, and as long as 8 blocks of them take (60)", type=float)
    add("--check", "exit 1 where a target is broken, 10 where it is unclear", action="store_true")
    add("--json", "write the figures there as well", type=Path, metavar="FILE")


def run(arguments: argparse.Namespace) -> int:
    told = options_of(arguments)
    from rich.console import Console

    from perfsuite.advise.sweep import checks
    from perfsuite.advise.sweep_measured import measure_sweep
    from perfsuite.advise.sweep_page import figures_of, print_sweep
    from perfsuite.judge.verdict import EXIT_INTERRUPTED, exit_code
    from perfsuite.store import atomic

    tell = _Progress(sys.stderr)
    # More workers than cores are what is asked about.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    try:
        found = measure_sweep(_source(told), _question(told), tell)
    except ValueError as error:  # make_loaders' way to refuse an option
        raise UsageError(f"sweep: {error}") from error
    finally:
        tell.end()
    print_sweep(found, Console(width=None if sys.stdout.isatty() else 100, highlight=False))
    if told["json"] is not None:
        atomic.replace(told["json"], json.dumps(figures_of(found), indent=1, allow_nan=False).encode())
    if not found.is_whole:
        return EXIT_INTERRUPTED
    return exit_code(checks(found, found.choice().seen)) if told["check"] else 0


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The defaults, over them the settings file's, over them the command line's."""
    given = {name: value for name, value in vars(arguments).items() if name in DEFAULTS}
    path = arguments.settings
    return DEFAULTS | ({} if path is None else _of_file(path)) | given


def _of_file(path: Path) -> dict[str, Any]:
    """Its entries through the same parser as the command line's words, so that both are checked alike."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}; expected TOML") from error
    parser = argparse.ArgumentParser(prog=f"perfsuite sweep: {path}", usage=argparse.SUPPRESS)
    _add_options(parser)
    words = [word for name, value in entries.items() for word in _words(path, name, value)]
    return vars(parser.parse_args(words))


def _words(path: Path, name: str, value: object) -> Iterator[str]:
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


def _source(told: dict[str, Any]) -> Source:
    from perfsuite.data import photos
    from perfsuite.data.sets import labelled_table, read_parts

    folder = told["data_dir"]
    if told["csv"] is not None:
        if folder is None:
            raise UsageError("sweep: --csv without --data-dir, expected the folder of its pictures too")
        if not told["csv"].is_file():
            raise UsageError(f"sweep: {told['csv']}: no such file")
        return labelled_table(told["csv"], folder, told["file_column"], told["label_column"])
    if folder is None:
        folder = photos.cached(images=96, classes=8)
    try:
        return read_parts(folder, 0.0, 0.0)["train"]
    except FileNotFoundError as error:
        raise DataError(str(error)) from error


def _question(told: dict[str, Any]) -> Question:
    from perfsuite.advise.sweep_measured import Question

    return Question(
        tuple(told["workers"]),
        tuple(told["engine"]),
        tuple(told["prefetch_factor"]),
        told["mode"],
        told["batch_size"],
        told["seconds"],
        {name: told[name] for name in OF_LOADERS},
    )


class _Progress:
    """What is being done: one line that changes, or lines where it is no terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._is_terminal = out, out.isatty()

    def __call__(self, doing: str) -> None:
        self._out.write(f"\r\033[K{doing}" if self._is_terminal else f"{doing}\n")
        self._out.flush()

    def end(self) -> None:
        if self._is_terminal:
            self._out.write("\r\033[K")
