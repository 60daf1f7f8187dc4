"""Show how the times of stored runs developed: trends, changes, drift, and the commits that caused them.

Runs are grouped by environment, and runs of one commit count as one. A change is listed with the range of
commits that contains its cause with a chance of 95 %. The history informs; `perfsuite gate` judges.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import FRACTION, POSITIVE_INT, number
from perfsuite.cli.output import STDOUT, add_json_argument, text_stream, write_json

if TYPE_CHECKING:
    from perfsuite.report.history.words import HistoryReport

EPILOG = """\
examples:
  perfsuite history                                    # a line for each benchmark, newest change last
  perfsuite history test_loaders 'test_cache*raw'      # some benchmarks, by part of the name or pattern
  perfsuite history --anchor 3f2a91c --html history.html
  perfsuite history --store s3://bucket/runs --site public

needs pip install 'perfsuite[history]'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from perfsuite.store import DEFAULT_RUNS

    parser.epilog = EPILOG
    parser.add_argument(
        "benchmarks", nargs="*", metavar="BENCHMARK", help="part of a name, or a pattern with *"
    )
    parser.add_argument(
        "--store", metavar="ROOT", default=DEFAULT_RUNS, help="folder or URL of stored runs (%(default)s)"
    )
    parser.add_argument(
        "--environment", metavar="FINGERPRINT", help="only this environment (the first characters suffice)"
    )
    parser.add_argument("--last", type=number(POSITIVE_INT), metavar="N", help="only the newest N commits")
    parser.add_argument(
        "--anchor", metavar="COMMIT", help="the commit or stored run that creep is measured from (the oldest)"
    )
    parser.add_argument(
        "--tolerance",
        type=number(FRACTION),
        default=0.01,
        help="leave out smaller changes (0.01, that is 1%%)",
    )
    parser.add_argument("--html", metavar="FILE", help="write one page with plots (- for stdout)")
    parser.add_argument("--site", type=Path, metavar="DIR", help="write a static site: an index and pages")
    add_json_argument(parser, "trends and changes")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.cli.history_reports import read_reports
    from perfsuite.errors import ExitCode

    _require_one_stdout(arguments)
    reports = read_reports(arguments)
    _print(arguments, reports)
    _write(arguments, reports)
    return ExitCode.KEPT


def _require_one_stdout(arguments: argparse.Namespace) -> None:
    from perfsuite.errors import UsageError

    if arguments.html == STDOUT and arguments.json == STDOUT:
        raise UsageError("--html and --json both say -, expected one of them on stdout; name a file")


def _print(arguments: argparse.Namespace, reports: list[HistoryReport]) -> None:
    import os

    from rich.console import Console

    from perfsuite.report.history.terminal import render_history
    from perfsuite.report.publish import LOG_WIDTH, printable

    stream = text_stream(arguments.html, arguments.json)
    console = Console(file=stream, width=None if stream.isatty() else LOG_WIDTH)
    color = console.is_terminal and not console.no_color and console.color_system is not None
    width = max(80, int(os.environ.get("COLUMNS", "") or console.width)) if stream.isatty() else console.width
    texts = [render_history(report, width, color) for report in reports]
    stream.write(printable("\n".join(texts), os.environ))
    stream.flush()


def _write(arguments: argparse.Namespace, reports: list[HistoryReport]) -> None:
    from perfsuite.cli.output import print_message, write_output
    from perfsuite.cli.progress import ProgressLine
    from perfsuite.errors import StoreError, UsageError
    from perfsuite.report.history.json_ import history_data
    from perfsuite.report.history.page import overview_document
    from perfsuite.report.history.site import render_page, write_site

    if arguments.json:
        write_json("--json", arguments.json, [history_data(report) for report in reports])
    if arguments.html:
        page = render_page(overview_document(reports[-1], "history")).decode()
        write_output("--html", arguments.html, page)
        if len(reports) > 1:
            other = len(reports) - 1
            print(f"--html: shows the newest environment; {other} more with --site", file=sys.stderr)
    if arguments.site:
        try:
            with ProgressLine("perfsuite history: ") as progress:
                index = write_site(reports, arguments.site, progress.every_two_seconds("page {} of {}"))
        except StoreError as error:
            raise UsageError(f"--site: {error}; name a folder that can be written") from error
        print_message(f"wrote {index}")
