"""Write stored runs in the format of another tool: CSV, Bencher, github-action-benchmark, asv, Prometheus.

Times are medians per call with an interval. Most formats describe one run; csv takes any number.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from perfsuite.cli.output import STDOUT, write_output

if TYPE_CHECKING:
    from perfsuite.store.run import Run

EPILOG = """\
examples:
  perfsuite export --format csv                                   # all stored runs
  perfsuite export --format bmf main --output results.json        # for bencher run --adapter json
  perfsuite export --format github-action-benchmark main --output results.json
  perfsuite export --format prometheus main --output /var/lib/node_exporter/perfsuite.prom

RUN is what `perfsuite compare` takes: a name (its newest run), name@3, 0007, a file, a folder, a URL.
asv reads the file as results/MACHINE/COMMIT8-ENV.json, where MACHINE is the environment's fingerprint.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from perfsuite.report.exports.registry import EXPORTS
    from perfsuite.store import DEFAULT_RUNS

    parser.epilog = EPILOG
    formats = "; ".join(f"{name}: {each.description}" for name, each in EXPORTS.items())
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="stored runs (csv: all, the others: the newest)"
    )
    parser.add_argument("--format", required=True, choices=sorted(EXPORTS), help=formats.replace("%", "%%"))
    parser.add_argument("--output", default=STDOUT, metavar="FILE", help="where to write it (stdout)")
    parser.add_argument(
        "--store", metavar="ROOT", default=DEFAULT_RUNS, help="folder or URL of stored runs (%(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    import os

    from perfsuite.errors import ExitCode
    from perfsuite.report.exports.registry import EXPORTS
    from perfsuite.report.publish import printable

    export = EXPORTS[arguments.format]
    runs = _select_runs(arguments, export.takes_one_run)
    text = export.render(runs)
    if arguments.output == STDOUT:
        text = printable(text, os.environ)
    write_output("--output", arguments.output, text)
    return ExitCode.KEPT


def _select_runs(arguments: argparse.Namespace, takes_one_run: bool) -> list[Run]:
    from perfsuite.cli.output import print_message
    from perfsuite.cli.run_store import open_store
    from perfsuite.errors import NothingMeasuredError, StoreError, UsageError

    store = open_store(arguments.store)
    if len(arguments.runs) > 1 and takes_one_run:
        raise UsageError(
            f"--format {arguments.format}: {len(arguments.runs)} runs, expected one; write a file for each"
        )
    references = arguments.runs or ([] if takes_one_run else store.list())
    runs = [run for reference in references for run in store.select(reference)]
    if not references:
        runs = [store.latest()]
    if not runs:
        raise StoreError(
            f"{arguments.store}: holds no run; save one with: pytest benchmarks --perf-save NAME"
        )
    if takes_one_run:
        if len(runs) > 1:
            print_message(f"perfsuite export: the newest of {len(runs)} runs of {references[0]}")
        runs = runs[-1:]
        if not any(each.seconds_per_call for each in runs[0].measurements.values()):
            raise NothingMeasuredError(f"{runs[0].name}: no benchmark was timed, expected at least one")
    return runs
