"""Render the gate.json of a gate again, also one that somebody else wrote.

  perfsuite render report/gate.json
  perfsuite render report/gate.json --format html --output gate.html

The file is checked against its schema; headline, exit code and order follow from its verdicts. All text in it
is escaped, and its command is left out. A workflow that comments on pull requests uses this with the code of
the main branch, because a pull request writes its own report.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from perfsuite.cli.output import STDOUT, write_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from perfsuite.report.formats.registry import FORMATS

    parser.add_argument("file", type=Path, metavar="FILE", help="a gate.json")
    parser.add_argument(
        "--format", choices=sorted(FORMATS), default="markdown", help="a format of reports (markdown)"
    )
    parser.add_argument("--output", default=STDOUT, metavar="FILE", help="where to write it (stdout)")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.errors import ExitCode
    from perfsuite.report.formats.registry import FORMATS
    from perfsuite.report.gate_file import parse_gate_report
    from perfsuite.report.publish import printable
    from perfsuite.report.report import report_gate
    from perfsuite.store import locations

    report = report_gate(parse_gate_report(locations.read(arguments.file), str(arguments.file)))
    text = FORMATS[arguments.format].render(report)
    if arguments.output == STDOUT and arguments.format != "github":
        text = printable(text, os.environ)
    write_output("--output", arguments.output, text)
    return ExitCode.KEPT
