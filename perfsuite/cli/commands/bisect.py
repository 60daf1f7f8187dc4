"""Find the commit that made a benchmark slower, by the gate's rule, with the fewest gates.

  perfsuite bisect --good v1.2 --bad HEAD benchmarks/test_decode.py::test_jpeg

Each gate compares two commits as `perfsuite gate` does; a commit that cannot be judged is left out.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from perfsuite.cli.gate_options import add_gate_arguments, gate_settings
from perfsuite.cli.output import print_message
from perfsuite.cli.progress import print_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--good", required=True, metavar="REF", help="a commit where the benchmark was fast")
    parser.add_argument("--bad", required=True, metavar="REF", help="a later commit where it is slow")
    add_gate_arguments(parser, harness="base")
    parser.add_argument("pytest_args", nargs="+", metavar="TEST", help="the benchmark, as pytest names it")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.errors import ExitCode
    from perfsuite.gate.bisect import bisect
    from perfsuite.gate.git import Repository

    folder = Path.cwd()
    settings = gate_settings(
        arguments, folder, base=arguments.good, head=arguments.bad, pytest_args=arguments.pytest_args
    )
    try:
        result, _ = bisect(settings, arguments.good, arguments.bad, folder, partial(print_progress, "bisect"))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    repository = Repository.at(folder)
    for commit in result.suspects:
        print_message(f"{commit} {repository.subject(commit)}", sys.stdout)
    if len(result.suspects) == 1:
        print(f"this commit made it slower; {result.gates} gates were run")
        return ExitCode.KEPT
    print(f"one of these {len(result.suspects)} commits made it slower; those between could not be judged")
    return ExitCode.UNCLEAR
