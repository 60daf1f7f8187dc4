"""Judge stored run B against stored run A, workload by workload.

Time is judged by how much runs of the same code differ on this machine, which is estimated from the stored
runs; counters are compared exactly. What the runs cannot decide is unclear, and the exit code says so.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfsuite.cli import comparison_options
from perfsuite.cli.output import add_json_argument, text_stream, write_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfsuite.judge.stored_runs import ComparisonReport

EPILOG = """\
A and B are each
  main              the newest stored run of that name, and its replicates: the other runs of that
                    name at the same clean commit
  main@3            the last three runs of that name
  0007 | 0007_main  one stored run
  a.json | folder/  a file (of perfsuite or of pytest-benchmark), or all files of a folder
  s3://... gs://... file://...   a file at a URL
  baseline          the accepted baseline of B's environment (baseline:NAME for one of several)

examples:
  for i in 1 2 3 4 5; do pytest benchmarks --perf-save main; done      # then change the code
  for i in 1 2 3 4 5; do pytest benchmarks --perf-save head; done
  perfsuite compare main head
  perfsuite compare baseline head --tolerance 0.03 --markdown verdicts.md
  perfsuite compare .benchmarks/Linux-CPython-3.12-64bit/0001_a.json .benchmarks/.../0002_b.json
  perfsuite compare main head --rename test_old.py::test_a=test_new.py::test_a

exit codes:
  0 kept   1 regressed   10 unclear   12 nothing or not everything compared   13 a run cannot be read
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("a", metavar="A", help="the side that B is judged against")
    parser.add_argument("b", metavar="B", help="the side that is judged")
    comparison_options.add_judging_arguments(parser)
    comparison_options.add_store_arguments(parser)
    parser.add_argument("--all", action="store_true", help="list what was kept as well")
    add_json_argument(parser, "all verdicts")
    parser.add_argument("--markdown", metavar="FILE", help="write a Markdown report (- for stdout)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """What is printed and written: the verdicts, their exit code, and which runs were compared."""

    report: ComparisonReport
    exit_code: int
    run_lines: Sequence[str]
    history_size: int


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.cli import run_references
    from perfsuite.judge.stored_runs import compare_runs
    from perfsuite.judge.verdict import exit_code
    from perfsuite.store.baselines import BaselineStore
    from perfsuite.store.references import resolve_sides

    store = run_references.open_store(arguments.store)
    old_side, new_side = resolve_sides(arguments.a, arguments.b, store, BaselineStore(arguments.baselines))
    history = old_side.history(store, other_side=new_side.runs)
    old, new = old_side.runs, new_side.runs
    report = compare_runs(old, new, history, comparison_options.comparison_settings(arguments))
    comparison = _Comparison(
        report=report,
        exit_code=exit_code(report.verdicts),
        run_lines=[run_references.describe_runs("A", old), run_references.describe_runs("B", new)],
        history_size=len(history),
    )
    _print_and_write(arguments, comparison)
    return comparison.exit_code


def _print_and_write(arguments: argparse.Namespace, comparison: _Comparison) -> None:
    from rich.console import Console

    from perfsuite.report import json_, markdown
    from perfsuite.report.terminal import verdict_table

    report, size = comparison.report, comparison.history_size
    console = Console(file=text_stream(arguments.json, arguments.markdown), highlight=False)
    for line in [*comparison.run_lines, f"history: {size} other run{'s' * (size != 1)} of this environment"]:
        console.print(line, style="dim", markup=False)
    verdict_table.print_verdicts(report.verdicts, console, report.warnings, show_kept=arguments.all)
    if arguments.json:
        text = json_.render(report.verdicts, report.warnings, comparison.exit_code)
        write_output("--json", arguments.json, text)
    if arguments.markdown:
        notes = [*comparison.run_lines, *report.warnings]
        text = markdown.render(report.verdicts, "Stored runs", notes)
        write_output("--markdown", arguments.markdown, text)
