"""The `perfsuite` command: parse, call, show. Only the chosen command's module is imported."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from perfsuite import __version__
from perfsuite.errors import ExitCode, PerfsuiteError


@dataclass(frozen=True, slots=True)
class Command:
    """A module with `add_arguments(parser)` and `run(arguments) -> int`."""

    module: str
    summary: str


COMMANDS = {
    "data": Command("perfsuite.cli.data", "make images to measure with, draw maps, pack shards"),
    "gate": Command("perfsuite.cli.gate", "judge a change: base against head in turns"),
    "bisect": Command("perfsuite.cli.bisect", "find the commit that made a benchmark slower"),
    "doctor": Command("perfsuite.cli.doctor", "say what this machine can see, and what disturbs it"),
    "profile": Command("perfsuite.cli.profile", "find the slowest transform, or stage of loading"),
    "sweep": Command("perfsuite.cli.sweep", "find how many workers to load with, and why"),
    "train": Command("perfsuite.cli.train", "train a classifier, on images made here or on yours"),
    "predict": Command("perfsuite.cli.predict", "classify images, with probability and time"),
    "counters": Command("perfsuite.cli.counters", "count what training steps do, against what is expected"),
    "scaling": Command("perfsuite.cli.scaling", "measure what several ranks gain, under torchrun"),
    "claims": Command("perfsuite.cli.claims", "measure what is claimed of training optimizations"),
    "compare": Command("perfsuite.cli.compare", "judge one stored run against another"),
    "baseline": Command("perfsuite.cli.baseline", "list, show, accept or prune accepted measurements"),
}

EXIT_CODES = """\
exit codes:
  0 kept   1 regressed or broken   2 usage   3 internal error   10 unclear
  11 machine unfit   12 nothing or not everything compared   13 unreadable baseline   130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(chosen=next((word for word in words if word in COMMANDS), None))
    arguments = parser.parse_args(words)
    if arguments.command is None:
        parser.print_help()
        return ExitCode.USAGE
    try:
        return int(arguments.run(arguments))
    except PerfsuiteError as error:
        print(f"perfsuite {arguments.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"perfsuite {arguments.command}: interrupted; what was finished is kept", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) went away: not an error. Keep the interpreter from flushing into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="perfsuite",
        description="Performance regression suite for PyTorch vision.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"perfsuite {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name, help=command.summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == chosen:
            module = import_module(command.module)
            sub.description = module.__doc__
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    return parser
