"""Say what this machine can see: the smallest slowdowns that a gate would find here, and what disturbs it."""

from __future__ import annotations

import argparse

from perfsuite.cli.arguments import within
from perfsuite.cli.gate import progress_printer
from perfsuite.gate.settings import RANGES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=12, metavar="N", help="null pairs to run (12)")
    parser.add_argument(
        "--alpha", type=within(RANGES["alpha"]), default=0.01, help="chance of a false alarm (0.01)"
    )
    parser.add_argument(
        "--tolerance", type=within(RANGES["tolerance"]), default=0.01, help="smaller slowdowns do not count"
    )


def run(arguments: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from perfsuite.errors import ExitCode, UsageError
    from perfsuite.gate.doctor import PAIRS_SHOWN, diagnose
    from perfsuite.gate.signals import sigterm_as_keyboard_interrupt

    if arguments.pairs < 2:
        raise UsageError(f"--pairs {arguments.pairs}: a spread needs at least 2")
    tell = progress_printer("doctor")
    try:
        with sigterm_as_keyboard_interrupt():
            found = diagnose(arguments.pairs, arguments.alpha, arguments.tolerance, tell)
    except KeyboardInterrupt:
        tell("interrupted; nothing can be said before the last pair, and nothing is left behind")
        return ExitCode.INTERRUPTED
    console = Console()
    table = Table("workload", "spread of a pair", *(f"found with {n} pairs" for n in PAIRS_SHOWN))
    for sight in found.workloads:
        cells = [
            f"{effect.mde:.1%}" + ("" if effect.alpha <= arguments.alpha else " *")
            for effect in sight.effects.values()
        ]
        table.add_row(sight.workload, f"{sight.spread:.1%}", *cells)
    console.print(table)
    least = 2.0 ** -PAIRS_SHOWN[0]
    console.print(
        f"* at a chance of false alarm of {least:.1%}, the least that {PAIRS_SHOWN[0]} coin tosses allow"
    )
    for fact in found.checks:
        console.print(f"{'!' if fact.is_disturbance else ' '} {fact.name}: {fact.observed}", markup=False)
        if fact.remedy:
            console.print(f"    {fact.remedy}", markup=False)
    if found.unfit:
        console.print(f"unfit: base differs from base in {', '.join(found.unfit)}", markup=False)
    return ExitCode.UNFIT if found.unfit else ExitCode.KEPT
