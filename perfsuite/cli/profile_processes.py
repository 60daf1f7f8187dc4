"""Time whole processes side by side, in turns: real, user and system seconds, as the shell's `time`.

  perfsuite profile processes --command "python train.py --epochs 1" --command "python train.py --epochs 2"
  perfsuite profile processes --command plain="python a.py" --command cached="python b.py" --seconds 5m

A name before the command, NAME=COMMAND, is shown in the table.
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import add_seconds_argument
from perfsuite.cli.output import add_json_argument, print_message, text_stream, write_json
from perfsuite.cli.report_option import add_report_argument, command_line, write_report
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perfsuite.advise.claims.process_times import ProcessTimes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--command",
        dest="commands",
        action="append",
        required=True,
        metavar="[NAME=]COMMAND",
        help="a command to time, run without a shell; repeat it to compare several",
    )
    add_seconds_argument(parser, 60.0, "time for all turns; each command runs at least twice")
    add_json_argument(parser)
    add_report_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.advise.claims.process_times import time_processes_in_turns

    commands = parse_commands(arguments.commands)
    times: dict[str, list[ProcessTimes]] = {name: [] for name in commands}
    try:
        time_processes_in_turns(commands, arguments.seconds, min_rounds=2, into=times)
    finally:
        print_message(_table(times), text_stream(arguments.json))
        if arguments.json is not None:
            values = {name: [asdict(process) for process in taken] for name, taken in times.items()}
            write_json("--json", arguments.json, values)
        if arguments.report is not None:
            from perfsuite.advise.pages.processes_page import processes_document

            write_report(arguments, processes_document(times, command_line(arguments)))
    return 0


def parse_commands(texts: list[str]) -> dict[str, list[str]]:
    """Words of each command by its name, which is the command itself unless NAME= is before it.

    >>> parse_commands(["a=python -c pass", "python x.py --lr=1"])
    {'a': ['python', '-c', 'pass'], 'python x.py --lr=1': ['python', 'x.py', '--lr=1']}
    """
    commands: dict[str, list[str]] = {}
    for text in texts:
        name, separator, command = text.partition("=")
        if not separator or " " in name.strip() or not command.strip():
            name, command = text, text
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--command: {command!r}: {error}, expected words as in a shell") from error
        if not words:
            raise UsageError("--command: no words, expected a command")
        if name in commands:
            raise UsageError(f"--command: {name!r} twice, expected different names; write NAME=COMMAND")
        commands[name] = words
    return commands


def _table(times: Mapping[str, list[ProcessTimes]]) -> str:
    """Median seconds of each, with minimum and maximum, and real time against the first command."""
    from perfsuite.advise.claims.process_times import CLOCKS

    width = max(map(len, times))
    lines = [f"{'':{width}}  {'real':>20}  {'user':>20}  {'system':>20}   n  of the first"]
    first = next(iter(times.values()))
    for name, taken in times.items():
        if not taken:
            lines.append(f"{name:{width}}  not run yet")
            continue
        cells = "  ".join(f"{_median_and_range(taken, clock):>20}" for clock in CLOCKS)
        pairs = [mine.real / other.real for mine, other in zip(taken, first, strict=False)]
        lines.append(f"{name:{width}}  {cells}  {len(taken):2}  {median(pairs):.2f}")
    return "\n".join(
        [*lines, "seconds: median (minimum-maximum); real against the first command, run by run"]
    )


def _median_and_range(taken: list[ProcessTimes], clock: str) -> str:
    seconds = [getattr(process, clock) for process in taken]
    return f"{median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"
