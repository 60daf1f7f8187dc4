"""Make one verdict of the reports of all shards of a gate.

Each FILE is the gate.json of one `perfsuite gate --shard K/N`. The chance of any false alarm in all shards
together is at most that of one whole gate, whichever shard ends first. A shard whose file is not given is
missing, which is exit code 12. Shards of different commits, settings or alpha are refused.

`perfsuite gate merge FILE ...` is the same command.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from perfsuite.cli.progress import print_progress

EPILOG = """\
example, on two machines and then on any:
  perfsuite gate --base origin/main --shard 1/2 --report shard-1
  perfsuite gate --base origin/main --shard 2/2 --report shard-2
  perfsuite merge shard-*/gate.json --report report
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="the gate.json of one shard")
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write gate.html, .md, .json and .xml there"
    )


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.judge.merge_shards import merge_shards
    from perfsuite.report import publish
    from perfsuite.report.gate_file import parse_gate_report
    from perfsuite.report.report import report_gate
    from perfsuite.store import locations

    gates = {str(path): parse_gate_report(locations.read(path), str(path)) for path in arguments.files}
    report = report_gate(merge_shards(gates))
    publish.print_report(report, sys.stdout, os.environ)
    if arguments.report:
        for path in publish.write_reports(report, arguments.report):
            print_progress("merge", f"wrote {path}")
    print(publish.publish_to_github(report, os.environ), end="")
    return report.exit_code
