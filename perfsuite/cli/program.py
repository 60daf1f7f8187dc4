"""The `perfsuite` program: parse the words, run one command, turn what it raises into an exit code."""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, TextIO

from perfsuite import __version__
from perfsuite.cli import commands
from perfsuite.cli.config_file import CommandParser
from perfsuite.cli.output import print_message
from perfsuite.errors import ExitCode, PerfsuiteError, UsageError
from perfsuite.signals import sigterm_as_keyboard_interrupt

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

EPILOG = """\
examples:
  perfsuite gate --base origin/main         # is this branch slower?
  perfsuite compare main head               # are these stored runs slower?
  perfsuite sweep --data-dir images/        # how many workers to load with
  perfsuite gate --help                     # options and examples of one command

exit codes:
  0 kept   1 regressed or broken   2 usage   3 internal error   10 unclear
  11 machine unfit   12 nothing or not everything compared   13 unreadable run, baseline or image
  130 interrupted
"""

# Import names of the packages in an extra, and their titles.
HISTORY_PACKAGES = {"ruptures": "ruptures"}
VISION_PACKAGES = {
    "PIL": "Pillow",
    "albumentations": "albumentations",
    "cv2": "OpenCV",
    "llvmlite": "llvmlite",
    "numba": "Numba",
    "simplejpeg": "simplejpeg",
    "torch": "PyTorch",
    "torchvision": "torchvision",
    "triton": "Triton",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Wrong options raise SystemExit(2), as argparse does."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:2] == ["gate", "merge"]:  # a folder of benchmarks of that name is ./merge
        words = words[1:]
    name = next((word for word in words if word in command_names()), None)
    try:
        with _output_may_close():
            return _run(name, words)
    except OSError as error:  # a full disk behind standard output or standard error
        with suppress(OSError):
            print(f"perfsuite: the output cannot be written: {error.strerror}", file=sys.stderr)
        return ExitCode.INTERNAL


def command_names() -> list[str]:
    """The commands: every module of `perfsuite.cli.commands`."""
    return sorted(module.name for module in iter_modules(commands.__path__))


def load_command(name: str) -> ModuleType:
    """The module of a command, with `add_arguments(parser)` and `run(arguments) -> int`."""
    return import_module(f"{commands.__name__}.{name}")


def _run(name: str | None, words: Sequence[str]) -> int:
    who = "perfsuite" if name is None else f"perfsuite {name}"
    try:
        parser = build_parser([] if name is None else [name])
        arguments = parser.parse_args(words)
        if arguments.command is None:
            parser.print_help()
            return ExitCode.USAGE
        arguments.typed = shlex.join(["perfsuite", *words])
        with _sigterm_as_interrupt():
            return _run_command(arguments)
    except PerfsuiteError as error:
        print_message(f"{who}: {str(error).removeprefix(f'{name}: ')}")  # of who found it, once
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{who}: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except Exception as error:
        missing = _missing_package(error)
        if missing is not None:
            print(f"{who}: {missing}", file=sys.stderr)
            return ExitCode.USAGE
        print_message(traceback.format_exc().rstrip())
        print_message(f"{who}: internal error, see the traceback above; please report it")
        return ExitCode.INTERNAL


def _run_command(arguments: argparse.Namespace) -> int:
    """Run the command. Python's exit code for what escapes it would be 1, which means regressed."""
    try:
        return int(arguments.run(arguments))
    except (Exception, KeyboardInterrupt):
        raise
    except SystemExit as error:
        raise UsageError(
            f"code that the command ran ended the program (SystemExit: {error.code!r}), "
            "expected it to return; remove sys.exit from your model, loader or data set"
        ) from error
    except BaseException as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, except in a rank of torchrun.

    torchrun ends ranks by SIGTERM while they wait for a dead one, where no Python code runs.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        yield
        return
    with sigterm_as_keyboard_interrupt():
        yield


def _missing_package(error: Exception) -> str | None:
    """What to install where an import of an optional package failed; None for any other error."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    package = error.name.partition(".")[0]
    if package in sys.modules:  # a module that the package lacks is a bug
        return None
    for extra, titles in (("vision", VISION_PACKAGES), ("history", HISTORY_PACKAGES)):
        if package in titles:
            return f"needs {titles[package]}, which is not installed; pip install 'perfsuite[{extra}]'"
    return None


def build_parser(chosen: Sequence[str]) -> argparse.ArgumentParser:
    """The parser with the options of the chosen commands, for speed: only these are imported.

    With no command chosen, all are imported, for their summaries.
    """
    parser = argparse.ArgumentParser(
        prog="perfsuite",
        description="Performance regression suite for PyTorch vision.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"perfsuite {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", parser_class=CommandParser
    )
    for name in command_names():
        command = load_command(name) if name in chosen or not chosen else None
        summary = None if command is None else _summary(command)
        if command is None or name not in chosen:
            subparsers.add_parser(name, help=summary)
            continue
        subparser = subparsers.add_parser(
            name,
            help=summary,
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def _summary(command: ModuleType) -> str:
    """The first line of the module's docstring, as argparse prints it."""
    return (command.__doc__ or "").partition("\n")[0].rstrip(".").replace("%", "%%")


class _ClosableOutput(io.FileIO):
    """A standard stream that drops what is written after its reader (`| head`) has closed the pipe."""

    def write(self, data: ReadableBuffer) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return memoryview(data).nbytes


@contextmanager
def _output_may_close() -> Iterator[None]:
    """Let a command finish, with its own exit code, when the reader of its output goes away."""
    with ExitStack() as stack:
        stack.enter_context(_may_close("stdout"))
        stack.enter_context(_may_close("stderr"))
        yield


@contextmanager
def _may_close(name: str) -> Iterator[None]:
    stream: TextIO | None = getattr(sys, name)
    if stream is None or stream is not getattr(sys, f"__{name}__"):  # captured or replaced by a caller
        yield
        return
    stream.flush()
    buffer = io.BufferedWriter(_ClosableOutput(stream.fileno(), "w", closefd=False))
    is_for_people = name == "stderr" or stream.isatty()
    closable = io.TextIOWrapper(
        buffer, encoding=stream.encoding, errors=stream.errors, line_buffering=is_for_people
    )
    setattr(sys, name, closable)
    try:
        yield
    finally:
        setattr(sys, name, stream)
        closable.flush()
