"""Judge stored run B against stored run A, workload by workload.

Time is judged by how much runs of the same code differ on this machine, learned from the runs that are kept;
counters are compared exactly. What the runs cannot tell is unclear, which is not green.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfsuite.judge.stored_runs import ComparisonReport, ComparisonSettings

EPILOG = """\
A and B are each
  main              the newest stored run of that name, and its replicates: the runs of that name
                    at the same clean commit
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
    add_judging_arguments(parser)
    add_store_arguments(parser)
    parser.add_argument("--all", action="store_true", help="list what was kept as well")
    parser.add_argument("--json", metavar="FILE", help="write all verdicts as JSON (- for stdout)")
    parser.add_argument("--markdown", metavar="FILE", help="write a Markdown report (- for stdout)")


def add_judging_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--alpha",
        type=_positive_fraction,
        default=0.01,
        help="chance of any false alarm in the whole comparison (default 0.01)",
    )
    parser.add_argument(
        "--tolerance",
        type=_fraction,
        default=0.01,
        help="slower by no more than this is no regression (default 0.01, that is 1 %%)",
    )
    parser.add_argument(
        "--wanted-mde",
        type=_positive_fraction,
        default=0.05,
        help="a slowdown of this size must have been visible, else unclear (default 0.05)",
    )
    parser.add_argument(
        "--rename",
        metavar="OLD=NEW",
        action="append",
        default=[],
        type=_parse_rename,
        help="a workload that is called otherwise now; repeat for more",
    )


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    from perfsuite.store import DEFAULT_BASELINES, DEFAULT_RUNS

    parser.add_argument(
        "--store", metavar="ROOT", default=DEFAULT_RUNS, help="folder or URL of stored runs (%(default)s)"
    )
    parser.add_argument(
        "--baselines",
        metavar="ROOT",
        default=DEFAULT_BASELINES,
        help="folder or URL of baselines (%(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.cli import run_references
    from perfsuite.judge.stored_runs import compare_runs
    from perfsuite.judge.verdict import exit_code
    from perfsuite.store.baselines import BaselineStore
    from perfsuite.store.references import resolve_sides

    store = run_references.open_store(arguments.store)
    baselines = BaselineStore(arguments.baselines)
    old, new = resolve_sides(arguments.a, arguments.b, store, baselines)
    history = old.history(store, other_side=new.runs)
    found = compare_runs(old.runs, new.runs, history, compare_settings(arguments))
    code = exit_code(found.verdicts)
    _report(
        arguments,
        [run_references.describe_runs("A", old.runs), run_references.describe_runs("B", new.runs)],
        len(history),
        found,
        code,
    )
    return code


def compare_settings(arguments: argparse.Namespace) -> ComparisonSettings:
    from perfsuite.judge.stored_runs import ComparisonSettings

    return ComparisonSettings(
        alpha=arguments.alpha,
        tolerance=arguments.tolerance,
        target_mde=arguments.wanted_mde,
        renames=dict(arguments.rename),
    )


def _report(
    arguments: argparse.Namespace, told: Sequence[str], runs: int, found: ComparisonReport, code: int
) -> None:
    import os
    import sys

    from perfsuite.report.formats import json, markdown
    from perfsuite.report.publish import print_report
    from perfsuite.report.report import report_comparison

    report = report_comparison(found, sides=told, history_runs=runs, alpha=arguments.alpha, exit_code=code)
    stream = sys.stderr if "-" in (arguments.json, arguments.markdown) else sys.stdout
    print_report(report, stream, os.environ, show_kept=arguments.all)
    if arguments.json:
        _write_report(arguments.json, json.render(report))
    if arguments.markdown:
        _write_report(arguments.markdown, markdown.render(report))


def _write_report(where: str, text: str) -> None:
    if where == "-":
        print(text, end="")
    else:
        from pathlib import Path

        from perfsuite import atomic

        atomic.replace(Path(where), text.encode())


def _positive_fraction(text: str) -> float:
    value = _fraction(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is nothing, expected a share above 0")
    return value


def _fraction(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no share, expected for example 0.01 or 1%") from None
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range, expected at least 0 and less than 1")
    return value


def _parse_rename(text: str) -> tuple[str, str]:
    # Node ids of parametrized tests may hold "=" themselves; "==" then separates.
    old, _, new = text.partition("==" if "==" in text else "=")
    if not old or not new:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected OLD=NEW, the old and the new name of a workload"
        )
    return old, new
