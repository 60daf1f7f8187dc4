"""Judge stored run B against stored run A, workload by workload.

Time is judged by permutation of whole runs: five of each side, taken in turns, are enough for a chance of any
false alarm of 1 %, whatever the noise. Counters are compared exactly. What the runs cannot decide is unclear,
and the exit code says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perfsuite.cli import comparison_options
from perfsuite.cli.output import add_json_argument, print_message, text_stream, write_output
from perfsuite.cli.report_option import add_report_argument, command_line, write_report

if TYPE_CHECKING:
    from perfsuite.report.report import Report

EPILOG = """\
A and B are each
  main              the newest stored run of that name, and its replicates: the other runs of its series
                    (--perf-repeat), or of that name at the same clean commit
  main@3            the last three runs of that name
  0007 | 0007_main  one stored run
  a.json | folder/  a file (of perfsuite or of pytest-benchmark), or all files of a folder
  s3://... gs://... file://...   a file at a URL
  baseline          the accepted baseline of B's environment (baseline:NAME for one of several)

examples:
  pytest benchmarks --perf-repeat 5 --perf-repeat-against main   # both sides in turns, in fresh processes
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
    comparison_options.add_comparison_arguments(parser)
    comparison_options.add_store_arguments(parser)
    parser.add_argument("--all", action="store_true", help="list what was kept as well")
    add_json_argument(parser, "all verdicts")
    add_report_argument(parser)
    parser.add_argument("--markdown", metavar="FILE", help="write a Markdown report (- for stdout)")


def run(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from perfsuite.cli import run_store
    from perfsuite.cli.run_advice import describe_needs, next_commands
    from perfsuite.judge.stored_runs import compare_runs
    from perfsuite.judge.verdict import exit_code
    from perfsuite.report.report import report_comparison
    from perfsuite.store.baselines import BaselineStore
    from perfsuite.store.references import resolve_sides

    store = run_store.open_store(arguments.store)
    old_side, new_side = resolve_sides(arguments.a, arguments.b, store, BaselineStore(arguments.baselines))
    history = old_side.history(store, other_side=new_side.runs)
    old, new = old_side.runs, new_side.runs
    comparison = compare_runs(old, new, history, comparison_options.comparison_settings(arguments))
    needs, commands = comparison.needs, tuple[str, ...]()
    if needs is not None and (needed := describe_needs(needs)):
        comparison = replace(comparison, warnings=(*comparison.warnings, needed))
        commands = next_commands(needs, old, new)
    code = exit_code(comparison.verdicts)
    report = report_comparison(
        comparison,
        sides=[run_store.describe_runs("A", old), run_store.describe_runs("B", new)],
        history_runs=len(history),
        alpha=arguments.alpha,
        exit_code=code,
    )
    _print_and_write(arguments, report, commands)
    if arguments.report is not None:
        from perfsuite.report.pages.comparison_page import comparison_document

        write_report(arguments, comparison_document(report, command_line(arguments)))
    return code


def _print_and_write(arguments: argparse.Namespace, report: Report, commands: Sequence[str]) -> None:
    import os

    from perfsuite.report.formats import json, markdown
    from perfsuite.report.publish import print_report

    stream = text_stream(arguments.json, arguments.markdown)
    print_report(report, stream, os.environ, show_kept=arguments.all)
    for command in commands:  # each on a line of its own, to be copied
        print_message(f"  {command}", stream)
    if arguments.json:
        write_output("--json", arguments.json, json.render(report))
    if arguments.markdown:
        write_output("--markdown", arguments.markdown, markdown.render(report))
