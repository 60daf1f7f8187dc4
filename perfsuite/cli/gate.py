"""Gate a change: base against head in turns, with a stated chance of being wrong.

Both sides run from worktrees, so nothing in the repository is touched. Words that are not options here
go to pytest: `perfsuite gate --base origin/main benchmarks -k decode`.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from perfsuite.cli.arguments import within
from perfsuite.errors import ExitCode
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.settings import RANGES, TIME, GateSettings, read_project_settings
from perfsuite.gate.signals import sigterm_as_keyboard_interrupt
from perfsuite.report import publish
from perfsuite.report.report import report_gate

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", required=True, metavar="REF", help="the state to compare with: origin/main")
    parser.add_argument(
        "--head", metavar="REF", help="the state to judge (default: the working tree as it is)"
    )
    add_rule_arguments(parser)
    parser.add_argument(
        "--null", action="store_true", help="allow both sides to be the same: test the machine"
    )
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write gate.html, .md, .json and .xml there"
    )
    add_pytest_arguments(parser)


def add_rule_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--alpha", type=within(RANGES["alpha"]), help="chance of any false alarm in the whole gate (0.01)"
    )
    parser.add_argument(
        "--tolerance",
        type=within(RANGES["tolerance"]),
        help="slowdowns up to this are nobody's concern (0.01)",
    )
    parser.add_argument(
        "--mde", type=within(RANGES["mde"]), help="unclear where a slowdown of this size could hide (0.05)"
    )
    parser.add_argument(
        "--max-pairs", type=within(RANGES["max-pairs"]), metavar="N", help="pairs of processes at most (24)"
    )
    parser.add_argument(
        "--time-budget", type=parse_duration, default=600.0, metavar="TIME", help="such as 10m"
    )
    parser.add_argument(
        "--harness",
        choices=("head", "base", "own"),
        default="head",
        help="whose benchmarks run on both sides",
    )
    parser.add_argument(
        "--prepare",
        action="append",
        default=[],
        metavar="CMD",
        help="run in each side; its .venv is then used",
    )
    parser.add_argument(
        "--share",
        action="append",
        default=[],
        metavar="PATH",
        help="ignored files that both sides need: data",
    )
    parser.add_argument(
        "--patience", type=parse_duration, default=120.0, metavar="TIME", help="a longer silence is a hang"
    )
    parser.add_argument("--seed", type=int, help="repeat the coin tosses of another gate")


def add_pytest_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-k", dest="keyword", metavar="EXPRESSION", help="as in pytest")
    parser.add_argument("-m", dest="marker", metavar="EXPRESSION", help="as in pytest")
    parser.add_argument(
        "pytest_args", nargs="*", metavar="PYTEST", help="paths, and after -- any pytest option"
    )


def parse_duration(told: str) -> float:
    """`90`, `90s`, `10m` or `1h`.

    >>> parse_duration("10m")
    600.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", told.strip())
    if not match:
        raise argparse.ArgumentTypeError(f"{told!r}, expected a time such as 90s, 10m or 1h")
    found = float(match[1]) * _UNIT_SECONDS[match[2]]
    if found not in TIME:
        raise argparse.ArgumentTypeError(f"{told!r}, expected {TIME}")
    return found


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.gate.gate import gate

    here = Path.cwd()
    settings = gate_settings(arguments, here)
    tell = progress_printer("gate")
    try:
        with sigterm_as_keyboard_interrupt():
            report = report_gate(gate(settings, here, repro_command(settings), tell))
    except KeyboardInterrupt:
        tell("interrupted before anything was judged; nothing is left behind")
        return ExitCode.INTERRUPTED
    publish.print_report(report, sys.stdout, os.environ)
    if arguments.report:
        for path in publish.write_reports(report, arguments.report):
            tell(f"wrote {path}")
    print(publish.publish_to_github(report, os.environ), end="")
    return report.exit_code


def gate_settings(arguments: argparse.Namespace, here: Path) -> GateSettings:
    told = read_project_settings(here, datetime.now(UTC).date())
    for name in ("alpha", "tolerance", "mde", "max_pairs"):
        if getattr(arguments, name) is not None:
            told[name] = getattr(arguments, name)
    told["share"] = (*told.get("share", ()), *arguments.share)
    words = [*arguments.pytest_args]
    for option, value in (("-k", arguments.keyword), ("-m", arguments.marker)):
        words += [option, value] if value else []
    return GateSettings(
        base=arguments.base,
        head=arguments.head,
        time_budget_seconds=arguments.time_budget,
        harness=arguments.harness,
        null=arguments.null,
        prepare=tuple(arguments.prepare),
        pytest_args=tuple(words),
        schedule=TurnSchedule(hang_timeout_seconds=arguments.patience),
        seed=arguments.seed,
        **told,
    )


def repro_command(settings: GateSettings) -> str:
    """The command that does the same again.

    >>> repro_command(GateSettings(base="main", pytest_args=("benchmarks",)))
    'perfsuite gate --base main benchmarks'
    """
    words = ["perfsuite", "gate", "--base", settings.base]
    usual = GateSettings(base=settings.base)
    for option, name in (
        ("--head", "head"),
        ("--alpha", "alpha"),
        ("--tolerance", "tolerance"),
        ("--mde", "mde"),
        ("--max-pairs", "max_pairs"),
        ("--time-budget", "time_budget_seconds"),
        ("--harness", "harness"),
    ):
        value = getattr(settings, name)
        if value != getattr(usual, name):
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    patience = settings.schedule.hang_timeout_seconds
    words += ["--patience", f"{patience:g}"] if patience != usual.schedule.hang_timeout_seconds else []
    words += ["--null"] if settings.null else []
    for option, values in (("--prepare", settings.prepare), ("--share", settings.share)):
        words += [word for value in values for word in (option, value)]
    if any(word.startswith("-") for word in settings.pytest_args):
        words.append("--")
    return shlex.join([*words, *settings.pytest_args])


def progress_printer(command: str) -> Callable[[str], None]:
    """Progress, beside what is printed to be read."""
    return lambda line: print(f"perfsuite {command}: {line}", file=sys.stderr, flush=True)
