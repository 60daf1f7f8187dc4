"""Write a page of stored runs: rates, worker curves, samples, memory, stages, counters, environment.

  perfsuite report                          # the newest stored run, into perf-report/
  perfsuite report main --out docs/performance
  perfsuite report head --compare main      # with the verdicts of `perfsuite compare main head`
  perfsuite report main head nightly        # the last one, beside the times of the others
  perfsuite report 0007_main.json           # a file, also one of pytest-benchmark

Limits are judged while a run measures: `pytest benchmarks --perf-report DIR` writes a page with them. The
page is one HTML file that needs no network and no script; beside it are Markdown and, where matplotlib is
installed (perfsuite[plots]), a PNG of each plot.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.cli import comparison_options
from perfsuite.cli.report_option import command_line, report_folder, write_report

if TYPE_CHECKING:
    from perfsuite.judge.verdict import Verdict
    from perfsuite.store.run import Run
    from perfsuite.store.runs import RunStore

DEFAULT_FOLDER = Path("perf-report")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="a name, a number, a file or a URL, as for compare (the newest run)",
    )
    parser.add_argument(
        "--out",
        dest="report",
        type=report_folder,
        default=DEFAULT_FOLDER,
        metavar="DIR",
        help="where to write the page (%(default)s)",
    )
    parser.add_argument("--compare", metavar="A", help="judge the run against these runs, or `baseline`")
    comparison_options.add_comparison_arguments(parser)
    comparison_options.add_store_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.cli import run_store
    from perfsuite.errors import ExitCode
    from perfsuite.report.pages.stored_page import stored_document

    store = run_store.open_store(arguments.store)
    runs = [store.load(reference) for reference in arguments.runs] or [store.latest()]
    changes, notes = _compare(arguments, store, runs[-1]) if arguments.compare else ((), ())
    document = stored_document(runs, changes=changes, notes=notes, command=command_line(arguments))
    write_report(arguments, document)
    return ExitCode.KEPT


def _compare(
    arguments: argparse.Namespace, store: RunStore, newest: Run
) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    """The verdicts of `perfsuite compare A RUN`, and what the runs are."""
    from perfsuite.cli import run_store
    from perfsuite.judge.stored_runs import compare_runs
    from perfsuite.store.baselines import BaselineStore
    from perfsuite.store.references import resolve_sides
    from perfsuite.store.run import run_identity

    name = arguments.runs[-1] if arguments.runs else newest.name
    baselines = BaselineStore(arguments.baselines)
    old_side, new_side = resolve_sides(arguments.compare, name, store, baselines)
    new = new_side.runs if run_identity(newest) in map(run_identity, new_side.runs) else (newest,)
    history = old_side.history(store, other_side=new)
    comparison = compare_runs(old_side.runs, new, history, comparison_options.comparison_settings(arguments))
    sides = (run_store.describe_runs("A", old_side.runs), run_store.describe_runs("B", new))
    return comparison.verdicts, (*sides, *comparison.warnings)
