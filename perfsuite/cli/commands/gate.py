"""Judge a change: base against head in turns, with a stated chance of being wrong.

  perfsuite gate --base origin/main                          # the working tree against main
  perfsuite gate --base HEAD~1 benchmarks -k decode          # some benchmarks, chosen as in pytest
  perfsuite gate --base origin/main --report report          # also as HTML, Markdown, JSON and JUnit
  perfsuite gate --base HEAD --head HEAD --null              # no change: is this machine fit?

Both sides run in worktrees of their own, so the repository is not touched. Arguments that are not options
of this command go to pytest.

Exit codes: 0 kept, 1 regressed, 10 unclear, 11 machine unfit, 12 nothing or not everything compared.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.cli.gate_options import add_gate_arguments, gate_settings, repro_command
from perfsuite.cli.progress import print_progress
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from perfsuite.judge.gate_shard import Shard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", required=True, metavar="REF", help="the state to compare with: origin/main")
    parser.add_argument("--head", metavar="REF", help="the state to judge (default: the working tree)")
    add_gate_arguments(parser, harness="head")
    parser.add_argument(
        "--rules",
        choices=("base", "head"),
        default="base",
        help="the side whose alpha, tolerances and quarantine count (base)",
    )
    parser.add_argument(
        "--null", action="store_true", help="allow the same commit on both sides, to test the machine"
    )
    parser.add_argument(
        "--shard",
        type=_shard,
        metavar="K/N",
        help="run the K-th of N parts of the benchmarks; `perfsuite merge` makes one verdict of all parts",
    )
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write gate.html, .md, .json and .xml there"
    )
    parser.add_argument("-k", dest="keyword", metavar="EXPRESSION", help="as in pytest")
    parser.add_argument("-m", dest="marker", metavar="EXPRESSION", help="as in pytest")
    parser.add_argument(
        "pytest_args", nargs="*", metavar="PYTEST", help="paths, and after -- any pytest option"
    )


def _shard(text: str) -> Shard:
    from perfsuite.judge.gate_shard import parse_shard

    try:
        return parse_shard(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.errors import ExitCode
    from perfsuite.gate.gate import gate
    from perfsuite.report import publish
    from perfsuite.report.report import report_gate

    folder = Path.cwd()
    settings = gate_settings(
        arguments,
        folder,
        base=arguments.base,
        head=arguments.head,
        null=arguments.null,
        rules=arguments.rules,
        pytest_args=_pytest_args(arguments),
        shard=arguments.shard,
    )
    on_progress = partial(print_progress, "gate")
    try:
        report = report_gate(gate(settings, folder, repro_command(settings), on_progress))
    except KeyboardInterrupt:
        on_progress("interrupted before anything was judged; nothing is left behind")
        return ExitCode.INTERRUPTED
    publish.print_report(report, sys.stdout, os.environ)
    if arguments.report:
        for path in publish.write_reports(report, arguments.report):
            on_progress(f"wrote {path}")
    print(publish.publish_to_github(report, os.environ), end="")
    return report.exit_code


def _pytest_args(arguments: argparse.Namespace) -> list[str]:
    selected = {"-k": arguments.keyword, "-m": arguments.marker}
    return [*arguments.pytest_args, *(word for item in selected.items() if item[1] for word in item)]
