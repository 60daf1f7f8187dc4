"""Where a command writes what other programs read: a file, or `-` for standard output."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TextIO

from perfsuite import atomic
from perfsuite.errors import ExitCode, StoreError, UsageError, redact_url

STDOUT = "-"


def print_message(text: str, stream: TextIO | None = None) -> None:
    """Print text that may come from a file or a repository, by default on standard error.

    Its lines stay. Control characters are escaped, and so are workflow commands in a GitHub job. Passwords of
    URLs are replaced.
    """
    from perfsuite.report.publish import printable
    from perfsuite.report.text import escape_lines

    print(printable(escape_lines(redact_url(text)), os.environ), file=stream or sys.stderr, flush=True)


def add_json_argument(parser: argparse.ArgumentParser, contents: str = "the figures") -> None:
    parser.add_argument("--json", metavar="FILE", help=f"write {contents} as JSON (- for stdout)")


def output_target(text: str) -> str:
    """The argparse type of an option that takes a file, or `-`, where a config file may set it."""
    return text


def write_output(option: str, target: str, text: str) -> None:
    """Write the text where an option such as `--json` says; a file appears whole or not at all."""
    if target == STDOUT:
        print(text, end="" if text.endswith("\n") else "\n")
        return
    try:
        atomic.replace(Path(target), text.encode())
    except StoreError as error:  # a report, not a stored run: the option is at fault
        raise UsageError(f"{option}: {error}") from error


def write_json(option: str, target: str, value: object) -> None:
    """Write a value as JSON where an option such as `--json` says."""
    from perfsuite.report.formats.json import dump_json

    write_output(option, target, dump_json(value))


def exit_code_of(is_complete: bool) -> ExitCode:
    """The exit code of a command that reports what it measured; say so where it was interrupted."""
    if not is_complete:
        print("interrupted: these are the results until then", file=sys.stderr)
    return ExitCode.KEPT if is_complete else ExitCode.INTERRUPTED


def text_stream(*targets: str | None) -> TextIO:
    """Where text for people goes: standard output, unless one of the targets takes that."""
    return sys.stderr if STDOUT in targets else sys.stdout
