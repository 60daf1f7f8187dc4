"""Find the commit that made a benchmark slower, with the gate's rule, in the fewest gates."""

from __future__ import annotations

import argparse
from pathlib import Path

from perfsuite.cli.gate import add_rule_arguments, gate_settings, progress_printer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--good", required=True, metavar="REF", help="a commit where the benchmark was fast")
    parser.add_argument("--bad", required=True, metavar="REF", help="a later one where it is slow")
    add_rule_arguments(parser)
    parser.set_defaults(harness="base")
    parser.add_argument("pytest_args", nargs="+", metavar="TEST", help="the benchmark, as pytest names it")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.errors import ExitCode
    from perfsuite.gate.bisect import bisect
    from perfsuite.gate.git import Repository
    from perfsuite.gate.signals import sigterm_as_keyboard_interrupt

    here = Path.cwd()
    arguments.base, arguments.head = arguments.good, arguments.bad
    arguments.null, arguments.keyword, arguments.marker = False, None, None
    settings = gate_settings(arguments, here)
    try:
        with sigterm_as_keyboard_interrupt():
            found, _ = bisect(settings, arguments.good, arguments.bad, here, progress_printer("bisect"))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    repository = Repository.at(here)
    for commit in found.suspects:
        print(f"{commit} {repository.subject(commit)}")
    if len(found.suspects) == 1:
        print(f"made it slower; found with {found.gates} gates")
        return 0
    print(f"one of these {len(found.suspects)} made it slower; the others between could not be judged")
    return ExitCode.UNCLEAR
