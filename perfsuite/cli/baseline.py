"""List, show, accept or prune baselines: accepted measurements, kept in git, one folder an environment."""

from __future__ import annotations

import argparse

EPILOG = """\
examples:
  perfsuite baseline list
  perfsuite baseline accept main          # all stored runs named main at its newest commit
  perfsuite baseline show 03a89fef49a0/main
  perfsuite baseline prune 03a89fef49a0/main --dry-run

Accepting is the only way in. It refuses runs that are incomplete, measured with uncommitted changes, or
not kept against the baseline that is there. Take five runs or so: how much they differ is what later
runs are judged by. A change that is meant: prune the old baseline in a commit that says why, then accept.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from perfsuite.cli.arguments import within
    from perfsuite.cli.compare import add_judging_arguments, add_store_arguments
    from perfsuite.judge.units import Range

    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="every baseline, its environment and age")
    showing = actions.add_parser("show", help="the workloads of one baseline, or why a file is unreadable")
    showing.add_argument("reference", metavar="FINGERPRINT/NAME")
    accepting = actions.add_parser("accept", help="make a stored run the baseline of its environment")
    accepting.add_argument("reference", metavar="RUN", help="a reference as of `perfsuite compare`")
    accepting.add_argument("--name", help="name of the baseline (default: the run's)")
    accepting.add_argument("--allow-dirty", action="store_true", help="accept uncommitted changes")
    accepting.add_argument(
        "--drop",
        metavar="WORKLOAD",
        action="append",
        default=[],
        help="a workload that was removed on purpose; repeat for more",
    )
    add_judging_arguments(accepting)
    pruning = actions.add_parser("prune", help="remove baselines; git keeps what they were")
    pruning.add_argument("references", metavar="FINGERPRINT/NAME", nargs="*")
    days = within(Range(0, 500_000, with_low=True))
    pruning.add_argument("--older-than", metavar="DAYS", type=days, help="whose newest run is older")
    pruning.add_argument("--dry-run", action="store_true", help="only say what would go")
    for action in (listing, showing, accepting, pruning):
        add_store_arguments(action)


def run(arguments: argparse.Namespace) -> int:
    action = {"list": _list, "show": _show, "accept": _accept, "prune": _prune}[arguments.action]
    return action(arguments)


def _list(arguments: argparse.Namespace) -> int:
    from perfsuite.errors import StoreError
    from perfsuite.report.terminal import baseline_list
    from perfsuite.store.baselines import BaselineStore

    store = BaselineStore(arguments.baselines)
    found, damaged = [], []
    for reference in store.list():
        try:
            found.append((reference, store.load(reference)))
        except StoreError as damage:
            damaged.append(str(damage))
    baseline_list.print_baselines(arguments.baselines, found, damaged)
    return StoreError.exit_code if damaged else 0


def _show(arguments: argparse.Namespace) -> int:
    from perfsuite.report.terminal import baseline_list
    from perfsuite.store.baselines import BaselineStore

    baseline_list.print_baseline(BaselineStore(arguments.baselines).load(arguments.reference))
    return 0


def _accept(arguments: argparse.Namespace) -> int:
    from perfsuite.cli import run_references
    from perfsuite.cli.compare import compare_settings
    from perfsuite.store.baselines import BaselineStore

    store = run_references.open_store(arguments.store)
    runs = store.select(arguments.reference)
    reference = BaselineStore(arguments.baselines).accept(
        runs,
        arguments.name,
        list(store.history(runs[-1].fingerprint)),
        compare_settings(arguments),
        arguments.allow_dirty,
        frozenset(arguments.drop),
    )
    print(f"accepted as {arguments.baselines}/{reference}.json: {run_references.describe_runs('runs', runs)}")
    print("commit it alone, so that the change of a baseline is seen")
    return 0


def _prune(arguments: argparse.Namespace) -> int:
    from perfsuite.errors import UsageError
    from perfsuite.store.baselines import BaselineStore

    if not arguments.references and arguments.older_than is None:
        raise UsageError("prune: nothing named, expected FINGERPRINT/NAME or --older-than DAYS")
    gone = BaselineStore(arguments.baselines).prune(
        arguments.references, arguments.older_than, arguments.dry_run
    )
    for reference in gone:
        print(f"{'would remove' if arguments.dry_run else 'removed'} {arguments.baselines}/{reference}.json")
    if not gone:
        print("nothing is that old")
    return 0
