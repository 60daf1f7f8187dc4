"""`--report DIR`: the page of a command, as HTML, Markdown and PNG."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import Options
from perfsuite.cli.output import print_message, text_stream, write_output
from perfsuite.errors import redact_url

if TYPE_CHECKING:
    from perfsuite.measure.stage_clock import StageSpan
    from perfsuite.report.page.document import Document


def add_report_argument(options: Options) -> None:
    options.add_argument(
        "--report",
        type=report_folder,
        metavar="DIR",
        help="write a page with plots and tables there, as HTML and Markdown",
    )


def add_trace_argument(options: Options) -> None:
    options.add_argument(
        "--trace",
        metavar="FILE",
        help="write a timeline of the first stages for chrome://tracing or ui.perfetto.dev",
    )


def write_trace(arguments: argparse.Namespace, spans: Sequence[StageSpan]) -> None:
    """Write the timeline where --trace says; without the option do nothing."""
    if arguments.trace is None:
        return
    from perfsuite.report.chrome_trace import render_chrome_trace

    write_output("--trace", arguments.trace, render_chrome_trace(spans))


def report_folder(text: str) -> Path:
    """An argparse type for a folder that can be made or written: found out before anything is measured."""
    folder = Path(text)
    parent = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: {parent} is a file, expected a folder")
    if not os.access(parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text}: {parent} cannot be written, expected a folder that can")
    return folder


def write_report(arguments: argparse.Namespace, document: Document) -> None:
    """Write the page where --report says, and print its place; without the option do nothing."""
    if arguments.report is None:
        return
    from perfsuite.report.page.files import write_document

    page = write_document(document, arguments.report)[0]
    stream = text_stream(*(getattr(arguments, name, None) for name in ("json", "markdown", "trace")))
    print_message(f"report: {page}", stream)


def command_line(arguments: argparse.Namespace) -> str:
    """The command as it was typed, for the page."""
    return redact_url(str(getattr(arguments, "typed", "")))
