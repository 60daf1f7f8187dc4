"""Options that `compare`, `report` and `baseline` share: where runs are stored, and how they are judged."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import FRACTION, POSITIVE_FRACTION, Options, number, rename

if TYPE_CHECKING:
    from perfsuite.judge.stored_runs import ComparisonSettings


def add_comparison_arguments(options: Options) -> None:
    options.add_argument(
        "--alpha",
        type=number(POSITIVE_FRACTION),
        default=0.01,
        help="chance of any false alarm in the whole comparison (0.01)",
    )
    options.add_argument(
        "--tolerance",
        type=number(FRACTION),
        default=0.01,
        help="ignore slowdowns up to this fraction (0.01, that is 1%%)",
    )
    options.add_argument(
        "--mde",
        type=number(POSITIVE_FRACTION),
        default=0.05,
        help="report unclear where a slowdown of this fraction could be missed (0.05)",
    )
    options.add_argument(
        "--rename",
        metavar="OLD=NEW",
        action="append",
        default=[],
        type=rename,
        help="a workload that has another name now; repeat for more",
    )


def add_store_arguments(options: Options) -> None:
    from perfsuite.store import DEFAULT_BASELINES, DEFAULT_RUNS

    options.add_argument(
        "--store", metavar="ROOT", default=DEFAULT_RUNS, help="folder or URL of stored runs (%(default)s)"
    )
    options.add_argument(
        "--baselines",
        metavar="ROOT",
        default=DEFAULT_BASELINES,
        help="folder or URL of baselines (%(default)s)",
    )


def comparison_settings(arguments: argparse.Namespace) -> ComparisonSettings:
    from perfsuite.judge.stored_runs import ComparisonSettings

    return ComparisonSettings(
        alpha=arguments.alpha,
        tolerance=arguments.tolerance,
        target_mde=arguments.mde,
        renames=dict(arguments.rename),
    )
