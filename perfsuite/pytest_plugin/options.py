"""The `--perf-...` options and their ini keys."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.filesystems import is_url
from perfsuite.store import DEFAULT_BASELINES, DEFAULT_RUNS

SERIES_VARIABLE = "PERFSUITE_SERIES"  # set in every process of a series, to the id of the series
UNCLEAR_CHOICES = ("fail", "pass")
TABLE_COLUMNS = ("rate", "spread", "change", "limits")  # beside the name and the outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfOptions:
    """The options of one run, checked."""

    max_seconds: float
    level: float
    fail_on_unclear: bool
    time_only: bool
    count_only: bool = False
    run_name: str | None
    compare_with: str | None
    saves_runs: bool
    store: str
    baselines: str
    limits_file: Path
    report: Path | None = None  # the folder of the page
    columns: tuple[str, ...] = TABLE_COLUMNS
    is_quiet: bool = False  # -q


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("perfsuite", "perfsuite: limits, baselines, verdicts")
    group.addoption(
        "--perf-save", metavar="NAME", help="name the stored run (every run is stored, named or not)"
    )
    group.addoption(
        "--perf-repeat",
        type=int,
        metavar="N",
        help="take N runs, each in a fresh process, and store them as one series, named by --perf-save;"
        " five of each side are the fewest that `perfsuite compare` can judge at a chance of error of 1%%",
    )
    group.addoption(
        "--perf-repeat-against",
        metavar="REV",
        help="take as many runs of another commit, in turns with these; both series can then be compared"
        " (example: pytest benchmarks --perf-repeat 5 --perf-repeat-against main)",
    )
    group.addoption(
        "--perf-compare",
        metavar="RUN",
        help="judge against a stored run, a file or a URL; without it, against the accepted baseline of this"
        " environment where there is one",
    )
    group.addoption("--perf-no-save", action="store_true", help="do not store the run")
    group.addoption(
        "--perf-max-time",
        type=float,
        metavar="SECONDS",
        help="how long to sample a workload while a limit is undecided (ini: perf_max_time, 10)",
    )
    group.addoption(
        "--perf-level",
        type=float,
        metavar="LEVEL",
        help="confidence level of intervals, over all looks at the samples (ini: perf_level, 0.99)",
    )
    group.addoption(
        "--perf-unclear",
        choices=UNCLEAR_CHOICES,
        help="whether a test with an undecided limit fails or passes (ini: perf_unclear, fail)",
    )
    group.addoption(
        "--perf-time-only",
        action="store_true",
        help="measure no counters, stages or memory, which take two more calls of each workload",
    )
    group.addoption(
        "--perf-count-only",
        action="store_true",
        help="count what one call of each workload does, of pairs and races too, and time nothing: exact on"
        " any machine, however busy",
    )
    group.addoption(
        "--perf-columns",
        metavar="COLUMNS",
        default=",".join(TABLE_COLUMNS),
        help="the columns of the table, separated by commas, beside name and outcome (default: %(default)s);"
        " -q leaves the table out, and shows what needs attention",
    )
    group.addoption(
        "--perf-report",
        metavar="DIR",
        help="write a page of the run there, with plots and tables, as HTML and Markdown",
    )
    group.addoption(
        "--perf-images",
        metavar="DIR",
        help="folder of your own images, with a folder for each class, for the fixture image_dir"
        " (default: images that perfsuite makes)",
    )
    group.addoption("--perf-store", metavar="DIR|URL", help="where runs are stored (ini: perf_store)")
    parser.addini("perf_max_time", "seconds to sample a workload while a limit is undecided", default="10")
    parser.addini("perf_level", "confidence level of intervals, over all looks", default="0.99")
    parser.addini("perf_unclear", "fail or pass a test whose limit is undecided", default="fail")
    parser.addini("perf_store", "where runs are stored: a folder or a URL", default=DEFAULT_RUNS)
    parser.addini(
        "perf_baselines", "where accepted baselines are: a folder or a URL", default=DEFAULT_BASELINES
    )
    parser.addini("perf_limits", "file of limits by environment", default="benchmarks/limits.toml")


def read_options(config: pytest.Config) -> PerfOptions:
    """Read and check the options; the command line has precedence over the ini file."""
    unclear = config.getoption("perf_unclear") or config.getini("perf_unclear")
    if unclear not in UNCLEAR_CHOICES:
        raise UsageError(f"perf_unclear: {unclear!r}, expected {' or '.join(UNCLEAR_CHOICES)}")
    columns = tuple(config.getoption("perf_columns").replace(" ", "").split(","))
    if unknown := set(columns) - set(TABLE_COLUMNS) - {""}:
        raise UsageError(
            f"--perf-columns: {', '.join(sorted(unknown))}, expected some of {', '.join(TABLE_COLUMNS)}"
        )
    if config.getoption("perf_time_only") and config.getoption("perf_count_only"):
        raise UsageError("--perf-time-only and --perf-count-only: both, expected one of them")
    return PerfOptions(
        max_seconds=_number(config, "perf_max_time", above=0, below=float("inf")),
        level=_number(config, "perf_level", above=0.5, below=1),
        fail_on_unclear=unclear == "fail",
        time_only=config.getoption("perf_time_only"),
        count_only=config.getoption("perf_count_only"),
        run_name=config.getoption("perf_save"),
        compare_with=config.getoption("perf_compare"),
        columns=columns,
        is_quiet=config.get_verbosity() < 0,
        saves_runs=not config.getoption("perf_no_save"),
        store=_resolve_location(config, config.getoption("perf_store") or config.getini("perf_store")),
        baselines=_resolve_location(config, config.getini("perf_baselines")),
        limits_file=config.rootpath / config.getini("perf_limits"),
        report=_report_folder(config),
    )


def is_one_of_series() -> bool:
    """Whether this process is a run of a series: `--perf-repeat` in `addopts` then does not apply."""
    return bool(os.environ.get(SERIES_VARIABLE))


def _number(config: pytest.Config, name: str, above: float, below: float) -> float:
    option = config.getoption(name)
    try:
        value = float(config.getini(name) if option is None else option)
    except ValueError as error:
        raise UsageError(f"{name}: {config.getini(name)!r}, expected a number") from error
    if not above < value < below:
        raise UsageError(f"{name}: {value:g}, expected above {above:g} and below {below:g}")
    return value


def _report_folder(config: pytest.Config) -> Path | None:
    """The folder of --perf-report, from the folder where pytest was started; it need not exist yet."""
    given = config.getoption("perf_report")
    if given is None:
        return None
    folder: Path = config.invocation_params.dir / given
    parent = next(each for each in (folder, *folder.parents) if each.exists())
    if not parent.is_dir():
        raise UsageError(f"--perf-report: {parent} is a file, expected a folder; name another")
    return folder


def _resolve_location(config: pytest.Config, location: str) -> str:
    """Resolve a folder from the project's root; return a URL as it is."""
    return location if is_url(location) else str(config.rootpath / location)
