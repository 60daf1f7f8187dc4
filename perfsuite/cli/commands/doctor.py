"""Check this machine: the smallest slowdowns that a gate would detect here, and what disturbs it.

  perfsuite doctor
  perfsuite doctor --pairs 24 --tolerance 0.02 --time-budget 10m

It runs pairs of the same code, which cannot differ, and states how much they seem to. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import duration, number
from perfsuite.cli.gate_options import add_rule_arguments
from perfsuite.cli.progress import print_progress
from perfsuite.judge.units import Range

if TYPE_CHECKING:
    from perfsuite.gate.doctor import MachineDiagnosis

PAIRS = Range(2, with_low=True, whole=True)  # one pair has no spread


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pairs", type=number(PAIRS), default=12, metavar="N", help="pairs of base against base to run (12)"
    )
    parser.add_argument(
        "--time-budget",
        type=duration,
        default=300.0,
        metavar="TIME",
        help="begin no pair that would end after this long, from the third on (5m)",
    )
    add_rule_arguments(parser, alpha=0.01, tolerance=0.01)


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.errors import ExitCode
    from perfsuite.gate.doctor import diagnose

    on_progress = partial(print_progress, "doctor")
    try:
        diagnosis = diagnose(
            arguments.pairs, arguments.alpha, arguments.tolerance, on_progress, arguments.time_budget
        )
    except KeyboardInterrupt:
        on_progress("interrupted; a diagnosis needs every pair, and nothing is left behind")
        return ExitCode.INTERRUPTED
    _print_diagnosis(diagnosis, arguments.alpha)
    return ExitCode.UNFIT if diagnosis.unfit else ExitCode.KEPT


def _print_diagnosis(diagnosis: MachineDiagnosis, alpha: float) -> None:
    from rich.console import Console
    from rich.table import Table

    from perfsuite.gate.doctor import PAIRS_SHOWN, SMALL_MDE
    from perfsuite.judge.sequential_rule import MOST_PAIRS

    console = Console()
    detected = (f"detected by {n} pairs" for n in PAIRS_SHOWN)
    table = Table("workload", "spread of a pair", *detected, f"pairs for {SMALL_MDE:.0%}")
    for workload in diagnosis.workloads:
        cells = [
            f"{effect.mde:.1%}" + ("" if effect.alpha <= alpha else " *")
            for effect in workload.effects.values()
        ]
        small = f"over {MOST_PAIRS}" if workload.small_mde_pairs is None else str(workload.small_mde_pairs)
        table.add_row(workload.workload, f"{workload.spread:.1%}", *cells, small)
    console.print(table)
    console.print(
        f"* at a false-alarm rate of {2.0 ** -PAIRS_SHOWN[0]:.1%}, the lowest that a sign-flip test of "
        f"{PAIRS_SHOWN[0]} pairs can have"
    )
    console.print(
        f"a pair of all {len(diagnosis.workloads)} takes {diagnosis.seconds_per_pair:.1f} s; a gate with "
        f"--mde {SMALL_MDE:g} takes as many as it needs, at most {MOST_PAIRS}"
    )
    for check in diagnosis.checks:
        console.print(f"{'!' if check.is_disturbance else ' '} {check.name}: {check.observed}", markup=False)
        if check.remedy:
            console.print(f"    {check.remedy}", markup=False)
    if diagnosis.unfit:
        console.print(f"unfit: base differs from base in {', '.join(diagnosis.unfit)}", markup=False)
