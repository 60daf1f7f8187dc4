"""Options that `gate`, `bisect` and `doctor` share, and the settings that they make of them."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfsuite.cli.arguments import Options, duration, number
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from perfsuite.gate.settings import GateSettings, Rules
    from perfsuite.judge.gate_shard import Shard

# Options that fall back to pyproject.toml, or to the default in GateSettings, by the field that each sets.
OVERRIDES = {
    "alpha": "alpha",
    "tolerance": "tolerance",
    "mde": "mde",
    "max_pairs": "max_pairs",
    "time_budget_seconds": "time_budget",
    "seed": "seed",
    "python": "python",
}
# Options of the command, by the field of GateSettings that each sets.
REPEATED_OPTIONS = {
    "head": "--head",
    "alpha": "--alpha",
    "tolerance": "--tolerance",
    "mde": "--mde",
    "max_pairs": "--max-pairs",
    "time_budget_seconds": "--time-budget",
    "harness": "--harness",
    "rules": "--rules",
    "python": "--python",
}


def add_rule_arguments(options: Options, alpha: float | None = None, tolerance: float | None = None) -> None:
    """--alpha and --tolerance; without a default, pyproject.toml's or the gate's own holds."""
    from perfsuite.gate.settings import RANGES

    options.add_argument(
        "--alpha",
        type=number(RANGES["alpha"]),
        default=alpha,
        help="chance of any false alarm in the whole run (0.01)",
    )
    options.add_argument(
        "--tolerance",
        type=number(RANGES["tolerance"]),
        default=tolerance,
        help="ignore slowdowns up to this fraction (0.01)",
    )


def add_gate_arguments(options: Options, harness: str) -> None:
    """How sides are prepared, compared and judged; `harness` is the default of --harness."""
    from perfsuite.gate.settings import RANGES

    add_rule_arguments(options)
    options.add_argument(
        "--mde",
        type=number(RANGES["mde"]),
        help="report unclear where a slowdown of this fraction could be missed (0.05)",
    )
    options.add_argument(
        "--max-pairs",
        type=number(RANGES["max-pairs"]),
        metavar="N",
        help="pairs of processes at most (24; more where --mde is less than 0.05)",
    )
    options.add_argument(
        "--time-everything",
        action="store_true",
        help="time also the benchmarks that are proven to run the same code on both sides",
    )
    options.add_argument("--time-budget", type=duration, metavar="TIME", help="end after this long (10m)")
    options.add_argument(
        "--harness",
        choices=("head", "base", "own"),
        default=harness,
        help=f"the side whose benchmarks run on both sides; own: each side's ({harness})",
    )
    options.add_argument(
        "--prepare",
        action="append",
        default=[],
        metavar="CMD",
        help="command to run in each side, such as an installation into .venv, which is then used",
    )
    options.add_argument(
        "--share",
        action="append",
        default=[],
        metavar="PATH",
        help="ignored files that both sides need, such as data",
    )
    options.add_argument(
        "--python",
        metavar="PATH",
        help="the interpreter that runs the project (default: its .venv, else the active environment)",
    )
    options.add_argument(
        "--hang-timeout",
        type=duration,
        metavar="TIME",
        help="treat a side as hung after this long without output (2m)",
    )
    options.add_argument("--seed", type=int, help="repeat the random order of another gate")


def gate_settings(
    arguments: argparse.Namespace,
    folder: Path,
    *,
    base: str,
    head: str | None = None,
    null: bool = False,
    rules: Rules = "head",
    pytest_args: Sequence[str] = (),
    shard: Shard | None = None,
) -> GateSettings:
    """Settings from `add_gate_arguments`, over those of the project that `folder` lies in."""
    from perfsuite.gate.project_settings import read_project_settings
    from perfsuite.gate.schedule import TurnSchedule
    from perfsuite.gate.settings import GateSettings
    from perfsuite.judge.sequential_rule import DEFAULT_MDE, DEFAULT_TOLERANCE, max_pairs_for

    today = datetime.now(UTC).date()
    project = read_project_settings(folder, today)
    notes: tuple[str, ...] = ()
    if rules == "base":
        project, notes = _with_rules_of(base, project, folder, today)
    given = {name: getattr(arguments, option) for name, option in OVERRIDES.items()}
    project |= {name: value for name, value in given.items() if value is not None}
    project["share"] = (*project.get("share", ()), *arguments.share)
    if "max_pairs" not in project:
        mde, tolerance = project.get("mde", DEFAULT_MDE), project.get("tolerance", DEFAULT_TOLERANCE)
        project["max_pairs"] = max_pairs_for(mde, tolerance)
    timeout = arguments.hang_timeout
    return GateSettings(
        base=base,
        head=head,
        harness=arguments.harness,
        rules=rules,
        notes=notes,
        null=null,
        time_everything=arguments.time_everything,
        prepare=tuple(arguments.prepare),
        pytest_args=tuple(pytest_args),
        shard=shard,
        schedule=TurnSchedule() if timeout is None else TurnSchedule(hang_timeout_seconds=timeout),
        **project,
    )


def _with_rules_of(
    base: str, project: Mapping[str, Any], folder: Path, today: date
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings of the project in `folder` with the rules of the commit `base`."""
    from perfsuite.gate.git import Repository
    from perfsuite.gate.project_settings import SETTINGS_FILE, parse_project_settings, with_base_rules

    repository = Repository.at(folder)
    commit = repository.commit(base)
    name = (repository.project_subfolder / SETTINGS_FILE).as_posix()
    try:
        settings = parse_project_settings(repository.file_contents(commit, name), f"{base}:{name}")
    except UsageError as error:
        raise UsageError(f"{error}; --rules head applies the settings of this folder instead") from error
    return with_base_rules(project, settings, today)


def repro_command(settings: GateSettings) -> str:
    """The command that repeats a gate.

    >>> from perfsuite.gate.settings import GateSettings
    >>> repro_command(GateSettings(base="main", pytest_args=("benchmarks",)))
    'perfsuite gate --base main benchmarks'
    >>> repro_command(GateSettings(base="main", time_everything=True))
    'perfsuite gate --base main --time-everything'
    """
    words = ["perfsuite", "gate", "--base", settings.base]
    defaults = {field.name: field.default for field in fields(settings)}
    for name, option in REPEATED_OPTIONS.items():
        value = getattr(settings, name)
        if value != defaults[name]:
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    timeout = settings.schedule.hang_timeout_seconds
    if timeout != type(settings.schedule)().hang_timeout_seconds:
        words += ["--hang-timeout", f"{timeout:g}"]
    if settings.shard is not None:
        words += ["--shard", str(settings.shard)]
    if settings.null:
        words.append("--null")
    if settings.time_everything:
        words.append("--time-everything")
    for option, values in (("--prepare", settings.prepare), ("--share", settings.share)):
        words += [word for value in values for word in (option, value)]
    if any(word.startswith("-") for word in settings.pytest_args):
        words.append("--")
    return shlex.join([*words, *settings.pytest_args])
