"""List, show, accept or prune baselines: accepted measurements in git, one folder per environment."""

from __future__ import annotations

import argparse
import sys

from perfsuite.cli.arguments import add_action, number
from perfsuite.cli.comparison_options import (
    add_comparison_arguments,
    add_store_arguments,
    comparison_settings,
)
from perfsuite.cli.output import print_message
from perfsuite.judge.units import Range

EPILOG = """\
examples:
  perfsuite baseline list
  pytest benchmarks --perf-repeat 5 --perf-save main
  perfsuite baseline accept main          # the newest series of that name, or the runs of its commit
  perfsuite baseline show 03a89fef49a0/main
  perfsuite baseline prune 03a89fef49a0/main --dry-run

`accept` is the only way to make a baseline. It refuses runs that are incomplete, that were measured with
uncommitted changes, or that are worse than the present baseline. Take at least five runs: with fewer, a
chance of error of 1 % is out of reach. To accept an intended slowdown, prune the old baseline in a
commit that says why, then accept.
"""

MAX_AGE_DAYS = Range(0, 500_000, with_low=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    list_ = add_action(actions, "list", "every baseline, its environment and age", "perfsuite baseline list")
    list_.set_defaults(act=_list)
    show = add_action(
        actions,
        "show",
        "the workloads of one baseline, or why its file is unreadable",
        "perfsuite baseline show 03a89fef49a0/main",
    )
    show.set_defaults(act=_show)
    show.add_argument("reference", metavar="FINGERPRINT/NAME")
    accept = add_action(
        actions,
        "accept",
        "make a stored run the baseline of its environment",
        "perfsuite baseline accept main",
        "perfsuite baseline accept main --drop benchmarks/test_a.py::test_removed",
    )
    accept.set_defaults(act=_accept)
    accept.add_argument("reference", metavar="RUN", help="a reference as in `perfsuite compare`")
    accept.add_argument("--name", help="name of the baseline (default: the run's)")
    accept.add_argument("--allow-dirty", action="store_true", help="accept uncommitted changes")
    accept.add_argument(
        "--drop",
        metavar="WORKLOAD",
        action="append",
        default=[],
        help="a workload that was removed on purpose; repeat for more",
    )
    add_comparison_arguments(accept)
    prune = add_action(
        actions,
        "prune",
        "remove baselines; git keeps their history",
        "perfsuite baseline prune 03a89fef49a0/main --dry-run",
        "perfsuite baseline prune --older-than 365",
    )
    prune.set_defaults(act=_prune)
    prune.add_argument("references", metavar="FINGERPRINT/NAME", nargs="*")
    prune.add_argument(
        "--older-than",
        metavar="DAYS",
        type=number(MAX_AGE_DAYS),
        help="those whose newest run is older",
    )
    prune.add_argument("--dry-run", action="store_true", help="only list what would be removed")
    for action in (list_, show, accept, prune):
        add_store_arguments(action)


def run(arguments: argparse.Namespace) -> int:
    return int(arguments.act(arguments))


def _list(arguments: argparse.Namespace) -> int:
    from perfsuite.errors import StoreError, redact_url
    from perfsuite.report.terminal import baseline_list
    from perfsuite.store.baselines import BaselineStore

    store = BaselineStore(arguments.baselines)
    readable, damaged = [], []
    for reference in store.list():
        try:
            readable.append((reference, store.load(reference)))
        except StoreError as error:
            damaged.append(str(error))
    baseline_list.print_baselines(redact_url(arguments.baselines), readable, damaged)
    return StoreError.exit_code if damaged else 0


def _show(arguments: argparse.Namespace) -> int:
    from perfsuite.report.terminal import baseline_list
    from perfsuite.store.baselines import BaselineStore

    baseline_list.print_baseline(BaselineStore(arguments.baselines).load(arguments.reference))
    return 0


def _accept(arguments: argparse.Namespace) -> int:
    from perfsuite.cli import run_store
    from perfsuite.cli.run_advice import baseline_messages
    from perfsuite.judge.stored_runs import needs_of_baseline
    from perfsuite.store.baselines import BaselineStore

    store = run_store.open_store(arguments.store)
    runs = store.select(arguments.reference)
    baselines, settings = BaselineStore(arguments.baselines), comparison_settings(arguments)
    reference = baselines.accept(
        runs,
        arguments.name,
        list(store.history(runs[-1].fingerprint)),
        settings,
        arguments.allow_dirty,
        frozenset(arguments.drop),
    )
    accepted = run_store.describe_runs("runs", runs)
    print_message(f"accepted as {arguments.baselines}/{reference}.json: {accepted}", sys.stdout)
    print("commit it by itself, so that reviewers notice the change of baseline")
    baseline = baselines.load(reference)
    if not baseline.is_timed:
        return 0  # three runs suffice for counters
    accepted_runs = baseline.runs
    needs = needs_of_baseline(accepted_runs, settings)
    for message in baseline_messages(needs, accepted_runs, accepted_runs[-1].name):
        print_message(message, sys.stdout)
    return 0


def _prune(arguments: argparse.Namespace) -> int:
    from perfsuite.errors import UsageError
    from perfsuite.store.baselines import BaselineStore

    if not arguments.references and arguments.older_than is None:
        raise UsageError("prune: no baseline is named, expected FINGERPRINT/NAME or --older-than DAYS")
    removed = BaselineStore(arguments.baselines).prune(
        arguments.references, arguments.older_than, arguments.dry_run
    )
    for reference in removed:
        done = "would remove" if arguments.dry_run else "removed"
        print_message(f"{done} {arguments.baselines}/{reference}.json", sys.stdout)
    if not removed:
        print("no baseline is that old")
    return 0
